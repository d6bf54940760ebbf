# Screens of the bot, in Russian. Written first; en.ftl is translated from it.

## Buttons
button-back = ‹ Назад
button-menu = ‹ В меню
button-plans = Купить подписку
button-renew = Продлить
button-trial = Попробовать бесплатно: { $days ->
    [one] { $days } день
    [few] { $days } дня
   *[many] { $days } дней
}
button-subscription = Моя подписка
button-connect = Подключить
button-history = Платежи
button-support = Поддержка
button-language = Language: English
button-pay = Оплатить { $price }
button-check = Проверить оплату
button-another-way = Другой способ
button-cancel = Отменить
button-copy = Скопировать ссылку
button-open-link = Открыть ссылку
button-qr = QR-код для другого устройства
button-another-device = Другое устройство
button-not-working = Не получилось?
button-terms = Условия
button-write-support = Написать в поддержку

## Ways to pay
provider-yookassa = Карта или СБП
provider-stars = Telegram Stars
provider-trial = пробный период
provider-other = { $code }

## Durations
duration-months = { $months ->
    [one] { $months } месяц
    [few] { $months } месяца
   *[many] { $months } месяцев
}
duration-days = { $days ->
    [one] { $days } день
    [few] { $days } дня
   *[many] { $days } дней
}
left-days = { $days ->
    [0] остался последний день
    [one] остался { $days } день
    [few] осталось { $days } дня
   *[many] осталось { $days } дней
}
until = до { $date }

## Menu
menu-title = <b>{ $shop }</b>
menu-nothing = Быстрый и спокойный VPN. Подписка включается сразу после оплаты.
menu-active = Подписка работает { $until }, { $left }.
menu-opening = Подписка оплачена { $until }. Открываем доступ.
menu-ended = Подписка закончилась { $date }.
menu-terms = Продолжая, вы принимаете <a href="{ $url }">условия</a>.

## Plans
plans-title = <b>Выберите срок</b>
plans-hint = Чем дольше срок, тем дешевле месяц.
plan-line = <b>{ $duration }</b>: { $price }
plan-month = { $price } в месяц
plan-saved = выгода { $percent } %
plan-usual = обычный выбор
plan-button = { $duration } · { $price }
plans-gone = Этот тариф больше не продаётся.

## Way to pay
ways-title = <b>Как оплатить?</b>
ways-plan = { $duration }

## E-mail
email-title = <b>Куда прислать чек?</b>
email-ask = Напишите адрес электронной почты одним сообщением. Спросим один раз.
email-wrong = Похоже, в адресе ошибка. Пример: anna@example.ru

## Waiting for money
waiting-title = <b>Оплата: { $duration }</b>
waiting-price = К оплате: { $price }
waiting-how = Нажмите «Оплатить». Когда деньги придут, этот экран обновится сам и доступ откроется.
waiting-preparing = Готовим страницу оплаты. Этот экран обновится сам через несколько секунд.
waiting-not-yet = Деньги пока не пришли. Если вы уже оплатили, подождите: экран обновится сам.
waiting-first = Сначала дождитесь ответа или отмените этот заказ.

## How a payment ended
paid-title = <b>Оплата получена: { $price }</b>
paid-opening = Открываем доступ. Сообщим, когда он заработает.
paid-open = Доступ открыт { $until }.
declined-title = <b>Оплата не прошла</b>
declined-money = Деньги не списаны.
declined-next = Попробуйте ещё раз или выберите другой способ.
declined-why-insufficient = Банк ответил, что на карте не хватает денег.
declined-why-expired = Время на оплату вышло.
declined-why-other = Банк или платёжная система отклонили платёж.
canceled-title = <b>Заказ отменён</b>
canceled-money = Если деньги всё-таки придут, подписка продлится сама.
refused-title = <b>Не получилось создать платёж</b>
refused-next = Деньги не списаны. Попробуйте другой способ или напишите в поддержку.

## Notices
notice-open-title = <b>Доступ открыт</b>
notice-open-paid = <b>Оплата получена: { $price }</b>
notice-open-until = Подписка работает { $until }.
notice-open-next = Осталось подключить устройство.
notice-delayed-paid = <b>Оплата получена: { $price }</b>
notice-delayed-title = <b>Подписка почти готова</b>
notice-delayed = Сервер доступа сейчас не отвечает. Мы откроем доступ сами и сразу напишем, обычно это занимает несколько минут. Делать ничего не нужно.

## Trial
trial-used = Пробный период уже был.
trial-started = Пробный период начался.
trial-title = <b>Пробный период: { $duration }</b>
trial-opening = Открываем доступ. Сообщим, когда он заработает.

## My subscription
subscription-title = <b>Моя подписка</b>
subscription-none = Подписки пока нет.
subscription-active = Работает { $until }
subscription-opening = Оплачена { $until }. Открываем доступ.
subscription-delayed = Оплачена { $until }. Сервер доступа не отвечает, мы откроем доступ сами и напишем.
subscription-ended = Закончилась { $date }
subscription-traffic = Трафик: { $used } из { $limit }
subscription-traffic-free = Трафик: { $used }, без ограничения
subscription-devices = Устройства: { $used } из { $limit }
subscription-paid-by = Последняя оплата: { $provider }

## Connect
connect-title = <b>Подключение</b>
connect-choose = На каком устройстве?
connect-on = <b>Подключение: { $platform }</b>
connect-app = 1. Установите приложение <a href="{ $url }">{ $app }</a>.
connect-link = 2. Откройте ссылку ниже: приложение добавит подписку само. Или скопируйте её и вставьте в приложение.
connect-not-yet = Доступ ещё открывается. Напишем, когда он заработает.
connect-none = Сначала нужна подписка.
connect-qr = Наведите камеру другого устройства или отсканируйте код в приложении.
platform-ios = iPhone и iPad
platform-android = Android
platform-windows = Windows
platform-macos = macOS
platform-linux = Linux
platform-tv = Телевизор

## History
history-title = <b>Платежи</b>
history-none = Платежей пока нет.
history-line = { $date } · { $price } · { $status }
status-pending = ждёт оплаты
status-succeeded = оплачен
status-canceled = отменён

## Support
support-title = <b>Поддержка</b>
support-ask = Опишите, что случилось. Мы отвечаем каждый день.
support-facts = Пришлите это вместе с вопросом:
support-id = Номер: <code>{ $id }</code>
support-until = Подписка { $until }
support-platform = Устройство: { $platform }
support-nobody = Контакт поддержки скоро появится здесь.
paysupport-title = <b>Помощь с оплатой</b>
paysupport-text = Деньги не теряются: если оплата прошла, доступ откроется сам. Если что-то не так, напишите нам, и мы разберёмся или вернём деньги.

## Terms
terms-title = <b>Условия</b>
terms-text = Подписка даёт доступ к VPN на оплаченный срок. Срок считается в днях с момента оплаты. Покупки за Telegram Stars подчиняются правилам Telegram. Вопросы и возвраты: /paysupport
terms-link = Полный текст: <a href="{ $url }">условия</a>

## Language
language-changed = Русский

## Pre-checkout
precheckout-unknown = Этот заказ не найден. Начните заново: /start
precheckout-not_yours = Этот счёт выставлен другому человеку. Откройте свой: /start
precheckout-not_pending = Этот заказ уже оплачен или отменён. Начните заново: /start
precheckout-old_price = Цена изменилась. Начните заново: /start

## Trouble and small things
failed = Что-то пошло не так. Мы уже знаем об этом. Попробуйте ещё раз через минуту: /start
unknown-text = Я понимаю кнопки. Вот меню.
screen-old = Экран обновлён.

## Commands and descriptions
command-start = Меню
command-subscription = Моя подписка
command-plans = Купить или продлить
command-support = Поддержка
command-terms = Условия
command-paysupport = Помощь с оплатой
command-language = Язык
about = VPN-подписка за три нажатия. Оплата картой, СБП или Telegram Stars.
