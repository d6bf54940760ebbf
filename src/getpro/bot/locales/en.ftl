# Screens of the bot, in English; translated from ru.ftl.

## Buttons
button-back = ‹ Back
button-menu = ‹ Menu
button-plans = Buy a subscription
button-renew = Renew
button-trial = Try for free: { $days ->
    [one] { $days } day
   *[other] { $days } days
}
button-subscription = My subscription
button-connect = Connect
button-history = Payments
button-support = Support
button-language = Язык: русский
button-pay = Pay { $price }
button-check = Check the payment
button-another-way = Another way
button-cancel = Cancel
button-copy = Copy the link
button-open-link = Open the link
button-qr = QR code for another device
button-another-device = Another device
button-not-working = Not working?
button-terms = Terms
button-write-support = Write to support

## Ways to pay
provider-yookassa = Card or SBP
provider-stars = Telegram Stars
provider-trial = trial
provider-other = { $code }

## Durations
duration-months = { $months ->
    [one] { $months } month
   *[other] { $months } months
}
duration-days = { $days ->
    [one] { $days } day
   *[other] { $days } days
}
left-days = { $days ->
    [0] the last day
    [one] { $days } day left
   *[other] { $days } days left
}
until = until { $date }

## Menu
menu-title = <b>{ $shop }</b>
menu-nothing = A fast and quiet VPN. It works right after you pay.
menu-active = Your subscription works { $until }, { $left }.
menu-opening = Your subscription is paid { $until }. We are opening access.
menu-ended = Your subscription ended on { $date }.
menu-terms = By going on you accept the <a href="{ $url }">terms</a>.

## Plans
plans-title = <b>Choose how long</b>
plans-hint = The longer, the cheaper a month.
plan-line = <b>{ $duration }</b>: { $price }
plan-month = { $price } a month
plan-saved = { $percent }% saved
plan-usual = the usual choice
plan-button = { $duration } · { $price }
plans-gone = This plan is no longer sold.

## Way to pay
ways-title = <b>How would you like to pay?</b>
ways-plan = { $duration }

## E-mail
email-title = <b>Where should the receipt go?</b>
email-ask = Send your e-mail address in one message. We ask once.
email-wrong = There seems to be a mistake in the address. Example: anna@example.com

## Waiting for money
waiting-title = <b>Payment: { $duration }</b>
waiting-price = To pay: { $price }
waiting-how = Press “Pay”. When the money arrives, this screen turns by itself and access opens.
waiting-preparing = We are preparing the payment page. This screen turns by itself in a few seconds.
waiting-not-yet = The money has not arrived yet. If you have paid, please wait: the screen turns by itself.
waiting-first = Please wait for the answer, or cancel this order first.

## How a payment ended
paid-title = <b>Payment received: { $price }</b>
paid-opening = We are opening access and will tell you when it works.
paid-open = Access is open { $until }.
declined-title = <b>The payment did not go through</b>
declined-money = No money was taken.
declined-next = Try again or choose another way.
declined-why-insufficient = The bank says there is not enough money on the card.
declined-why-expired = The time to pay is over.
declined-why-other = The bank or the payment system declined it.
canceled-title = <b>Order canceled</b>
canceled-money = If the money arrives after all, your subscription is extended by itself.
refused-title = <b>The payment could not be created</b>
refused-next = No money was taken. Try another way or write to support.

## Notices
notice-open-title = <b>Access is open</b>
notice-open-paid = <b>Payment received: { $price }</b>
notice-open-until = Your subscription works { $until }.
notice-open-next = Now connect your device.
notice-delayed-paid = <b>Payment received: { $price }</b>
notice-delayed-title = <b>Your subscription is almost ready</b>
notice-delayed = The access server does not answer at the moment. We will open access ourselves and write at once, usually within minutes. There is nothing you need to do.

## Trial
trial-used = You have had your trial.
trial-started = Your trial has begun.
trial-title = <b>Trial: { $duration }</b>
trial-opening = We are opening access and will tell you when it works.

## My subscription
subscription-title = <b>My subscription</b>
subscription-none = You have no subscription yet.
subscription-active = Works { $until }
subscription-opening = Paid { $until }. We are opening access.
subscription-delayed = Paid { $until }. The access server does not answer; we will open access ourselves and write.
subscription-ended = Ended on { $date }
subscription-traffic = Traffic: { $used } of { $limit }
subscription-traffic-free = Traffic: { $used }, unlimited
subscription-devices = Devices: { $used } of { $limit }
subscription-paid-by = Last paid by: { $provider }

## Connect
connect-title = <b>Connect</b>
connect-choose = Which device?
connect-on = <b>Connect: { $platform }</b>
connect-app = 1. Install <a href="{ $url }">{ $app }</a>.
connect-link = 2. Open the link below: the app adds the subscription itself. Or copy it and paste it into the app.
connect-not-yet = Access is still opening. We will write when it works.
connect-none = You need a subscription first.
connect-qr = Point the camera of the other device at it, or scan it in the app.
platform-ios = iPhone and iPad
platform-android = Android
platform-windows = Windows
platform-macos = macOS
platform-linux = Linux
platform-tv = TV

## History
history-title = <b>Payments</b>
history-none = No payments yet.
history-line = { $date } · { $price } · { $status }
status-pending = waiting
status-succeeded = paid
status-canceled = canceled

## Support
support-title = <b>Support</b>
support-ask = Tell us what happened. We answer every day.
support-facts = Please send this with your question:
support-id = Number: <code>{ $id }</code>
support-until = Subscription { $until }
support-platform = Device: { $platform }
support-nobody = The contact of our support will appear here soon.
paysupport-title = <b>Help with payments</b>
paysupport-text = Money is never lost: if you have paid, access opens by itself. If something is wrong, write to us; we will sort it out or give the money back.

## Terms
terms-title = <b>Terms</b>
terms-text = A subscription gives access to the VPN for the time you paid for, counted in days from the payment. Purchases for Telegram Stars follow Telegram's rules. Questions and refunds: /paysupport
terms-link = Full text: <a href="{ $url }">terms</a>

## Language
language-changed = English

## Pre-checkout
precheckout-unknown = This order was not found. Start again: /start
precheckout-not_yours = This invoice is somebody else's. Open your own: /start
precheckout-not_pending = This order is paid or canceled already. Start again: /start
precheckout-old_price = The price has changed. Start again: /start

## Trouble and small things
failed = Something went wrong. We know about it already. Please try again in a minute: /start
unknown-text = I understand buttons. Here is the menu.
screen-old = The screen is up to date now.

## Commands and descriptions
command-start = Menu
command-subscription = My subscription
command-plans = Buy or renew
command-support = Support
command-terms = Terms
command-paysupport = Help with payments
command-language = Language
about = A VPN subscription in three taps. Pay by card, SBP or Telegram Stars.
