# Screens of the bot, in Russian. Written first; en.ftl is translated from it.

## Buttons
button-back = ‹ Назад
button-menu = ‹ В меню
button-plans = Купить подписку
button-renew = Продлить
button-another-plan = Другой срок
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
button-again = Попробовать ещё раз
button-another-way = Другой способ
button-cancel = Отменить
button-copy = Скопировать
button-open-link = Открыть ссылку
button-qr = QR-код
button-another-device = Ещё устройство
button-not-working = Не получилось?
button-write-support = Написать в поддержку

button-reminders = Напоминания
button-remind-on = Напоминать
button-remind-off = Не напоминать
button-hour-back = −1 час
button-hour-forward = +1 час

## Ways to pay
provider-yookassa = Карта или СБП
provider-cryptopay = Криптовалюта
provider-stars = Telegram Stars
provider-other = { $code }

## Durations
duration-months = { $months ->
    [one] { $months } месяц
    [few] { $months } месяца
   *[many] { $months } месяцев
}
left-days = { $days ->
    [1] остался последний день
    [one] остался { $days } день
    [few] осталось { $days } дня
   *[many] осталось { $days } дней
}
until = до { $date }

## How it stands with a subscription; kind is trial or paid
period-active = { $kind ->
    [trial] Пробный период работает { $until }
   *[paid] Подписка работает { $until }
}
period-given = { $kind ->
    [trial] Пробный период { $until }
   *[paid] Подписка оплачена { $until }
}
period-ended = { $kind ->
    [trial] Пробный период закончился { $date }
   *[paid] Подписка закончилась { $date }
}
access-opening = Открываем доступ. Напишем, когда он заработает.
access-updating = Обновляем доступ. Напишем, когда новый срок вступит в силу.
access-delayed = Сервер доступа сейчас не отвечает. Мы откроем доступ сами и сразу напишем, обычно это занимает несколько минут. Делать ничего не нужно.

## Menu
menu-title = <b>{ $shop }</b>
menu-nothing = Быстрый и спокойный VPN. Доступ открывается сразу после оплаты.
menu-terms = Продолжая, вы принимаете <a href="{ $url }">условия</a>.
menu-note = Это бот с кнопками, сообщения он не читает. Для вопросов есть «Поддержка».

## Plans
plans-title = <b>Выберите срок</b>
plans-hint = Чем дольше срок, тем дешевле месяц.
plans-none = Сейчас ничего не продаётся. Загляните, пожалуйста, позже.
plans-gone = Этот тариф больше не продаётся, выберите другой.
plan-line = <b>{ $duration }</b>: { $price }
plan-month = { $price } в месяц
plan-saved = выгода { $percent }{"\u00A0"}%
plan-usual = обычный выбор
plan-button = { $months }{"\u00A0"}мес. · { $price }

## Way to pay
ways-title = <b>Как оплатить?</b>
ways-plan = Подписка на { $duration }
ways-gone = Этот способ оплаты сейчас не работает, выберите другой.

## Closed for a while; words are the operators' own
closed-title = <b>Идут работы</b>
closed-shop = Купить или продлить пока нельзя: идут работы. То, что оплачено, работает; оплаченное только что откроем сами.
closed-shop-words = { $words }
closed-way = { $provider }: временно не работает. Уже начатые платежи не пропадут.
closed-way-words = { $provider }: временно не работает. { $words }

## E-mail
email-title = <b>Куда прислать чек?</b>
email-ask = Напишите адрес электронной почты одним сообщением. Спросим один раз.
email-wrong = Похоже, в адресе ошибка. Напишите его ещё раз, например: anna@example.ru

## Waiting for money
waiting-title = <b>Оплата: { $duration }</b>
waiting-price = К оплате: { $price }
waiting-how = Нажмите «Оплатить». Когда деньги придут, этот экран обновится сам и доступ откроется.
waiting-away = Платёжная система пока не отвечает. Деньги не списаны. Мы спросим её ещё раз, и кнопка оплаты появится здесь сама, обычно в течение минуты.
waiting-not-yet = Деньги пока не пришли. Если вы уже оплатили, подождите: экран обновится сам.

## How a payment ended
paid-title = <b>Оплата получена: { $price }</b>
paid-open = Доступ открыт { $until }
open-next = Осталось подключить устройство.
kept-title = <b>Платёж проверяем вручную</b>
kept-what = Платёж по этому заказу пришёл, но не такой, как мы ждали: другая сумма, валюта или плательщик, либо по нему уже был возврат.
kept-safe = Деньги не потеряны: платёж записан за этим заказом. Платить ещё раз не нужно.
kept-next = Мы разберёмся и откроем доступ или вернём то, что ещё не возвращено. Вопросы можно задать в поддержке.
money-not-taken = Деньги не списаны.
money-may-come = Если деньги всё-таки придут, оплаченный срок добавится сам.
declined-title = <b>Оплата не прошла</b>
declined-next = Попробуйте ещё раз или напишите в поддержку.
declined-why-insufficient = Банк ответил, что на карте не хватает денег.
declined-why-limit = Банк ответил, что превышен лимит карты.
declined-why-card = Банк не принял данные карты: проверьте номер, срок и код.
declined-why-confirmation = Оплата не подтверждена кодом из банка.
declined-why-away = Банк сейчас не отвечает.
declined-why-expired = Время на оплату вышло.
declined-why-other = Банк или платёжная система отклонили платёж.
canceled-title = <b>Заказ отменён</b>
money-credited-apart = Деньги, которые пришли по нему, зачтены отдельно, так решила поддержка.
money-given-back = Деньги возвращены. Когда они придут, зависит от банка или Telegram.
refused-title = <b>Не получилось создать платёж</b>
refused-next = Попробуйте чуть позже или напишите в поддержку.

## Money given back
refunded-title = <b>Деньги возвращены: { $price }</b>
refunded-when = Когда они придут, зависит от банка или платёжной системы.
refunded-open = Доступ открыт { $until }
refunded-closed = Доступ по этой подписке закрыт.

## Notices
notice-open-title = <b>Доступ открыт</b>
notice-delayed-title = { $kind ->
    [trial] <b>Пробный период почти готов</b>
   *[paid] <b>Подписка почти готова</b>
}

## Reminders of an end; kind is trial or paid
reminder-in-three-days = { $kind ->
    [trial] <b>Пробный период закончится через 3 дня</b>
   *[paid] <b>Подписка закончится через 3 дня</b>
}
reminder-next-in-three-days = { $kind ->
    [trial] { $date }. Если VPN понравился, купите подписку заранее: дни прибавятся к оставшимся.
   *[paid] { $date }. Продлите заранее: дни прибавятся к оставшимся.
}
reminder-tomorrow = { $kind ->
    [trial] <b>Пробный период закончится завтра</b>
   *[paid] <b>Подписка закончится завтра</b>
}
reminder-next-tomorrow = { $kind ->
    [trial] { $date }. Чтобы не остаться без VPN, купите подписку: дни прибавятся к оставшимся.
   *[paid] { $date }. Чтобы не остаться без VPN, продлите её: дни прибавятся к оставшимся.
}
reminder-ended = { $kind ->
    [trial] <b>Пробный период закончился</b>
   *[paid] <b>Подписка закончилась</b>
}
reminder-next-ended = { $kind ->
    [trial] Это было { $date }. Купите подписку, и доступ заработает снова, настраивать устройство заново не нужно.
   *[paid] Это было { $date }. Продлите её, и доступ заработает снова, настраивать устройство заново не нужно.
}
reminder-day-after = <b>Доступ к VPN закрыт</b>
reminder-next-day-after = { $kind ->
    [trial] Пробный период закончился { $date }. Если VPN ещё нужен, купите подписку. Больше об этом не напомним.
   *[paid] Подписка закончилась { $date }. Если VPN ещё нужен, продлите её. Больше об этом не напомним.
}
reminders-title = <b>Напоминания</b>
reminders-on = Напомним за 3 дня и за день до конца подписки, в её конце и на следующий день.
reminders-off = Не напоминаем: следите за сроком сами.
reminders-time = У вас сейчас { $now }
reminders-hint = Пишем только днём. Если часы показывают не ваше время, поправьте.

## Trial
trial-started = Пробный период начался.
trial-used = Пробный период больше не доступен.

## My subscription
subscription-title = <b>Моя подписка</b>
subscription-none = Подписки пока нет.
subscription-traffic = Трафик: { $used } из { $limit }
subscription-traffic-free = Трафик: { $used }, без ограничения
subscription-devices = Устройства: { $used } из { $limit }
subscription-devices-free = Устройства: { $used }
subscription-paid-by = Последняя оплата: { $provider }

## Connect
connect-title = <b>Подключение</b>
connect-choose = На каком устройстве?
connect-on = <b>Подключение: { $platform }</b>
connect-app = 1. Установите приложение <a href="{ $url }">{ $app }</a>.
connect-link = { $platform ->
    [tv] 2. Скопируйте ссылку и добавьте её в приложении на телевизоре, проще всего с телефона.
   *[other] 2. Откройте ссылку на этом устройстве. Или скопируйте её и вставьте в приложение.
}
connect-none = Сначала нужна подписка.
connect-later = Ссылку сейчас не получить: сервер не отвечает. Попробуйте через минуту.
connect-qr = Наведите на код камеру другого устройства или отсканируйте его в приложении.
platform-ios = iPhone и iPad
platform-android = Android
platform-windows = Windows
platform-macos = macOS
platform-linux = Linux
platform-tv = Телевизор

## History
history-title = <b>Платежи</b>
history-none = Платежей пока нет.
history-succeeded = { $date } · { $duration } · { $price }
history-pending = { $date } · { $duration } · { $price }, ждёт оплаты
history-refunded = { $date } · { $duration } · { $price }, возвращено { $back }
history-kept = { $date } · { $duration } · { $price }, деньги пришли, проверяем

## Support
support-title = <b>Поддержка</b>
support-text = Опишите, что случилось, мы поможем.
support-facts = Это мы впишем в сообщение сами:
support-id = Номер: { $id }
support-platform = Устройство: { $platform }
support-nobody = Продавец пока не указал, кому писать.
paysupport-title = <b>Помощь с оплатой</b>
paysupport-text = Деньги не теряются: если оплата прошла, доступ откроется сам. Если что-то не так, напишите нам, и мы разберёмся или вернём деньги.

## Something does not work
button-trouble = Что-то не работает
button-trouble-paid = Оплата прошла, доступа нет
button-trouble-connection = VPN не подключается
button-trouble-other = Другое
button-connect-anew = Подключить заново
trouble-title = <b>Что-то не работает</b>
trouble-what = Что именно? Посмотрим сразу и передадим команде.
trouble-known = С этим столкнулись не только вы. Команда уже чинит.
trouble-passed-on = Команде передали. Если это не помогло, напишите в поддержку.
trouble-passed-on-only = Команде передали.
trouble-too-many = Сегодня вы написали нам уже много раз, всё записано. Остальное, пожалуйста, напишите в поддержку.
trouble-waiting-title = <b>Деньги у нас, доступ открываем</b>
trouble-paid-fact = Оплачено: { $price }, { $date }
trouble-waiting-next = Деньги в безопасности, платить ещё раз не нужно.
trouble-unpaid-title = <b>Оплаты пока не видим</b>
trouble-unpaid = За вашим номером нет ни оплаченных, ни ждущих оплаты заказов.
trouble-unpaid-next = Деньги списаны? Они не пропадут: напишите в поддержку и приложите чек, найдём и откроем доступ или вернём.
trouble-pending-title = <b>Деньги пока не пришли</b>
trouble-pending = Заказ ждёт оплаты: { $duration }, { $price }.
trouble-pending-next = Если банк их уже списал, нажмите «Проверить оплату»: спросим платёжную систему прямо сейчас. Придут позже, доступ откроется сам.
trouble-refunded-title = <b>Эти деньги возвращены: { $price }</b>
trouble-open-title = <b>Доступ открыт</b>
trouble-open-next = Осталось подключить устройство.
trouble-ended-title = <b>Срок закончился</b>
trouble-connection-title = <b>VPN не подключается</b>
trouble-connection-tips = Чаще всего помогает: обновить подписку в приложении, выключить и включить VPN, сменить сеть (Wi-Fi на мобильную или обратно).
trouble-other-title = <b>Что не работает?</b>
trouble-other-ask = Опишите одним сообщением: что делали и что увидели.
trouble-thanks-title = <b>Спасибо, записали</b>

## How things stand, to those whom a trouble touches
status-title = <b>Мы знаем о сбое</b>
status-delay = Оплаченный доступ открывается с задержкой. Деньги у нас, платить ещё раз не нужно. Откроем сами и напишем, когда заработает.
status-connection = VPN сейчас может не подключаться. Ваши деньги и дни в целости. Мы чиним и напишем, когда заработает.
status-payments = Оплата сейчас проходит не у всех. Если деньги списаны, они не пропадут. Мы чиним и напишем, когда заработает.
status-other = Сейчас работает не всё. Ваши деньги и дни в целости. Мы чиним и напишем, когда заработает.
status-over-title = <b>Всё снова работает</b>
status-over = Извините, что пришлось ждать. Если у вас что-то не так, нажмите «Поддержка» в меню.

## Help
help-title = <b>Помощь</b>
help-what = Бот продаёт VPN-подписку, открывает доступ и помогает подключить устройства. Всё делается кнопками, то же умеют команды:
help-command = /{ $command }: { $what }
help-support = Вопрос или что-то не получилось? Нажмите «Поддержка».

## Terms
terms-title = <b>Условия</b>
terms-text = Подписка даёт доступ к VPN на оплаченный срок. Он считается в днях с момента оплаты, при продлении прибавляется к оставшимся дням. Покупки за Telegram Stars подчиняются правилам Telegram. Вопросы и возвраты: /paysupport
terms-link = Полный текст: <a href="{ $url }">условия</a>

## Language
language-title = <b>Язык · Language</b>
language-ru = Русский
language-en = English
language-changed = Теперь по-русски.

## Shut out
blocked-title = <b>Доступ закрыт</b>
blocked-text = Продавец закрыл вам доступ. Если это ошибка, напишите в поддержку.

## Operators
message-from = <b>Сообщение от поддержки</b>
button-desk-find = Найти клиента
button-desk-stuck = Застряло: { $count }
button-desk-refresh = Обновить
button-desk-extend = Добавить дни
button-desk-message = Написать
button-desk-block = Заблокировать
button-desk-unblock = Разблокировать
button-desk-payments = Платежи и возврат
button-desk-refund = Вернуть { $sum }
button-desk-part = Вернуть часть
button-desk-hand = Уже вернули сами
button-desk-retry = Повторить
button-desk-credit = Засчитать
button-desk-refunded = Деньги возвращены
button-desk-dismiss = Убрать
button-desk-match = до { $date }
button-desk-match-ended = кончилась { $date }
button-desk-match-without = без подписки
button-desk-customer = Клиент
desk-title = <b>Магазин сегодня</b> · { $date }
desk-taken = Получено: { $sum }, { $count ->
    [one] { $count } платёж
    [few] { $count } платежа
   *[many] { $count } платежей
}
desk-taken-by = { "  " }{ $provider }: { $sum }, { $count }
desk-given-back = Возвращено: { $sum }
desk-newcomers = Новых клиентов: { $count }, пробных: { $trials }
desk-active = Платных подписок: { $count }
desk-ask-find = <b>Кого найти?</b>
    Напишите номер клиента, @имя, платёж (p12) или номер платежа у провайдера.
desk-ask-extend = <b>Сколько дней добавить и почему?</b>
    Клиент { $id }. Например: 7 сбой 24 ноября
desk-ask-message = <b>Что написать клиенту { $id }?</b>
    Бот передаст ваше следующее сообщение от имени поддержки.
desk-ask-block = <b>Почему блокируем клиента { $id }?</b>
    Доступ закроется сразу, продавать ему бот не будет. Дни не пропадут.
desk-ask-unblock = <b>Почему снимаем блокировку с клиента { $id }?</b>
    Оставшиеся дни откроются снова, клиент узнает об этом.
desk-ask-refund = <b>Почему возвращаем { $sum }?</b>
    Платёж p{ $id }. Деньги уйдут сразу, неиспользованные дни снимутся.
desk-ask-part = <b>Сколько вернуть и почему?</b>
    Платёж p{ $id }, осталось { $sum }. Например: 100,50 неделя без связи
desk-ask-hand = <b>Сколько вы вернули сами и почему?</b>
    Платёж p{ $id }, осталось { $sum }. Магазин только запишет. Например: 100,50 перевод на карту
desk-ask-retry = <b>Почему повторяем { $id }?</b>
    Причина останется в записи.
desk-ask-credit = <b>Почему засчитываем { $id }?</b>
    Если не за этот заказ, начните с клиента и тарифа, например: 42 1 оплата по старой ссылке
desk-ask-refunded = <b>Почему отмечаем возврат { $id }?</b>
    Деньги вы уже вернули сами. Причина останется в записи.
desk-ask-dismiss = <b>Почему убираем { $id }?</b>
    Причина останется в записи.
desk-found-several = Нашлось несколько, выберите.
desk-found-none = Никого не нашли.
desk-note = ✅ { $note }
desk-failed = Не вышло: { $why }
desk-away = Снаружи не ответили: { $why }
desk-since = С нами с { $date }, язык { $language }
desk-came-by = Пришёл по ссылке { $link }
desk-blocked = Заблокирован с { $date }
desk-unreachable = Сообщения не доходят: { $why }
desk-no-subscription = Подписки нет
desk-subscription = Подписка до { $end }
desk-subscription-ended = Подписка закончилась { $end }
desk-undelivered = на панель ещё не передана
desk-panel = На панели: { $status } до { $end }, { $user }
desk-panel-gone = На панели пользователя нет
desk-panel-away = Панель не ответила: { $why }
desk-payment-succeeded = p{ $id } · { $date } · { $sum } · { $provider }
desk-payment-pending = p{ $id } · { $date } · { $sum } · { $provider }, ждёт оплаты
desk-payment-canceled = p{ $id } · { $date } · { $sum } · { $provider }, отменён
desk-back = возвращено { $sum }
desk-payments-title = <b>Какой платёж?</b>
desk-payment-title = <b>Платёж p{ $id }</b>
desk-refund-succeeded = Возвращено { $sum }, клиенту сообщим сами
desk-refund-pending = Возврат { $sum } записан, провайдер ещё не закончил: доведём сами
desk-refund-refused = Провайдер отказал в возврате { $sum }: { $why }
desk-extended = Добавлено, подписка до { $end }
desk-done-block = Клиент заблокирован
desk-done-unblock = Блокировка снята
desk-done-message = Сообщение отправляем
desk-done-retry = { $outcome }
desk-done-credit = Засчитано: платёж p{ $id }
desk-done-refunded = Возврат отмечен
desk-done-dismiss = Убрано из списка
desk-stuck-title = <b>Что застряло</b>
desk-stuck-none = Ничего не застряло.
desk-stuck-more = И ещё { $count }. Полный список: 2getpro payments stuck
desk-stuck-since = С { $since }
desk-stuck-customer = Клиент { $id }
desk-stuck-gone = Этой записи в списке больше нет
ending-settled = Зачтено
ending-seen-before = Этот платёж уже зачтён
ending-premature = Деньги ещё не пришли: провайдер ждёт оплаты
ending-canceled = Платёж отменён у провайдера, денег нет
ending-no-such-charge = Провайдер не знает такого платежа
ending-unreadable = Ответ провайдера не читается
ending-no-order-of-ours = Это не наш заказ, и денег по нему нет
ending-stuck = Без перемен
ending-brought-forward = Будет сделано в ближайшие секунды
stuck-underpaid = недоплата
stuck-overpaid = переплата
stuck-foreign_currency = чужая валюта
stuck-unknown_order = неизвестный заказ
stuck-refunded_before_settled = возвращено до зачёта
stuck-wrong_payer = оплатил другой
stuck-expired_undelivered = срок вышел, доступ не выдан
stuck-given_back_twice = возвращено дважды
stuck-sum_differs = суммы не сошлись
stuck-not_delivered_away = панель недоступна
stuck-not_delivered_refused = панель отказала
stuck-not_delivered_yet = ещё не выдано
stuck-refund_refused = в возврате отказано
stuck-refund_not_yet = возврат не завершён
stuck-notice_disproved = провайдер не подтвердил
stuck-notice_unsettled = уведомление ждёт
stuck-job_failed = ошибка в работе

## Pre-checkout
precheckout-unknown = Этот заказ не найден. Начните заново: /start
precheckout-not_yours = Этот счёт выставлен другому человеку. Откройте свой: /start
precheckout-not_pending = Этот заказ уже оплачен или отменён. Начните заново: /start
precheckout-plan_gone = Этот тариф больше не продаётся. Выберите другой: /start
precheckout-held = Магазин восстанавливается после сбоя. Деньги не списаны, попробуйте через несколько минут.
precheckout-old_price = Цена изменилась. Начните заново: /start

## Trouble and small things
failed = Что-то пошло не так. Мы уже знаем об этом. Попробуйте ещё раз через минуту: /start
held = Магазин восстанавливается после сбоя. Ваши деньги и дни в целости. Попробуйте через несколько минут.
slow-down = Слишком быстро. Подождите несколько секунд и нажмите ещё раз.
screen-old = Экран обновлён.

## In a group
group-ours = Сюда приходят отчёты проверок и инциденты. Завести инцидент: /incident что случилось. Всё остальное в личном чате со мной.
group-other = Номер этой группы: <code>{ $chat }</code>. Чтобы отчёты проверок приходили сюда, укажите его в OPERATIONS_CHAT. Всё остальное в личном чате со мной.

## Commands and descriptions
command-start = Меню
command-subscription = Моя подписка
command-plans = Купить или продлить
command-support = Поддержка
command-terms = Условия
command-paysupport = Помощь с оплатой
command-reminders = Напоминания и ваше время
command-language = Язык
command-help = Что умеет этот бот
about = VPN-подписка за три нажатия. Оплата картой, СБП или Telegram Stars.
