# Screens of the bot, in English; translated from ru.ftl.

## Buttons
button-back = ‹ Back
button-menu = ‹ Menu
button-plans = Buy a subscription
button-renew = Renew
button-another-plan = Another plan
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
button-again = Try again
button-another-way = Another way
button-cancel = Cancel
button-copy = Copy the link
button-open-link = Open the link
button-qr = QR code
button-another-device = Another device
button-not-working = Not working?
button-write-support = Write to support

## Ways to pay
provider-yookassa = Card or SBP
provider-stars = Telegram Stars
provider-other = { $code }

## Durations
duration-months = { $months ->
    [one] { $months } month
   *[other] { $months } months
}
left-days = { $days ->
    [1] the last day
   *[other] { $days } days left
}
until = until { $date }

## How it stands with a subscription; kind is trial or paid
period-active = { $kind ->
    [trial] Your trial works { $until }
   *[paid] Your subscription works { $until }
}
period-given = { $kind ->
    [trial] Your trial: { $until }
   *[paid] Your subscription is paid { $until }
}
period-ended = { $kind ->
    [trial] Your trial ended on { $date }
   *[paid] Your subscription ended on { $date }
}
access-opening = We are opening access and will write when it works.
access-updating = We are updating access and will write when the new period is in force.
access-delayed = The access server does not answer at the moment. We will open access ourselves and write at once, usually within minutes. There is nothing you need to do.

## Menu
menu-title = <b>{ $shop }</b>
menu-nothing = A fast and quiet VPN. Access opens right after you pay.
menu-terms = By going on you accept the <a href="{ $url }">terms</a>.
menu-note = This bot works by buttons and does not read messages. “Support” is there for questions.

## Plans
plans-title = <b>Choose how long</b>
plans-hint = The longer, the cheaper a month.
plans-none = Nothing is on sale at the moment. Please come back later.
plans-gone = This plan is no longer sold, please choose another.
plan-line = <b>{ $duration }</b>: { $price }
plan-month = { $price } a month
plan-saved = { $percent }% saved
plan-usual = the usual choice
plan-button = { $duration } · { $price }

## Way to pay
ways-title = <b>How would you like to pay?</b>
ways-plan = Subscription for { $duration }
ways-gone = This way to pay does not work at the moment, please choose another.

## E-mail
email-title = <b>Where should the receipt go?</b>
email-ask = Send your e-mail address in one message. We ask once.
email-wrong = There seems to be a mistake in the address. Please send it again, for example: anna@example.com

## Waiting for money
waiting-title = <b>Payment: { $duration }</b>
waiting-price = To pay: { $price }
waiting-how = Press “Pay”. When the money arrives, this screen turns by itself and access opens.
waiting-away = The payment system does not answer yet. No money was taken. We will ask it again, and the button to pay will appear here by itself, usually within a minute.
waiting-not-yet = The money has not arrived yet. If you have paid, please wait: the screen turns by itself.

## How a payment ended
paid-title = <b>Payment received: { $price }</b>
paid-open = Access is open { $until }
kept-title = <b>We are checking the payment by hand</b>
kept-what = A payment for this order has come, but not as we expected it: another amount, currency or payer, or some of it has been refunded already.
kept-safe = The money is not lost: the payment is recorded with this order. There is no need to pay again.
kept-next = We will sort it out and open access or give back what has not been refunded yet. Support answers your questions.
money-not-taken = No money was taken.
money-may-come = If the money arrives after all, your subscription is extended by itself.
declined-title = <b>The payment did not go through</b>
declined-next = Please try again or write to support.
declined-why-insufficient = The bank says there is not enough money on the card.
declined-why-limit = The bank says the limit of the card is reached.
declined-why-card = The bank did not accept the card’s data: check the number, the date and the code.
declined-why-confirmation = The payment was not confirmed with the bank’s code.
declined-why-away = The bank does not answer at the moment.
declined-why-expired = The time to pay is over.
declined-why-other = The bank or the payment system declined it.
canceled-title = <b>Order canceled</b>
money-given-back = The money has been sent back. When it arrives depends on the bank or on Telegram.
refused-title = <b>The payment could not be created</b>
refused-next = Please try a little later or write to support.

## Notices
notice-open-title = <b>Access is open</b>
notice-open-next = Now connect your device.
notice-delayed-title = { $kind ->
    [trial] <b>Your trial is almost ready</b>
   *[paid] <b>Your subscription is almost ready</b>
}

## Trial
trial-started = Your trial has begun.
trial-used = The trial is no longer available.

## My subscription
subscription-title = <b>My subscription</b>
subscription-none = You have no subscription yet.
subscription-traffic = Traffic: { $used } of { $limit }
subscription-traffic-free = Traffic: { $used }, unlimited
subscription-devices = Devices: { $used } of { $limit }
subscription-devices-free = Devices: { $used }
subscription-paid-by = Last paid by: { $provider }

## Connect
connect-title = <b>Connect</b>
connect-choose = Which device?
connect-on = <b>Connect: { $platform }</b>
connect-app = 1. Install <a href="{ $url }">{ $app }</a>.
connect-link = { $platform ->
    [tv] 2. Copy the link and add it in the app on the TV, most easily from your phone.
   *[other] 2. Open the link on this device. Or copy it and paste it into the app.
}
connect-none = You need a subscription first.
connect-qr = Point the camera of the other device at the code, or scan it in the app.
platform-ios = iPhone and iPad
platform-android = Android
platform-windows = Windows
platform-macos = macOS
platform-linux = Linux
platform-tv = TV

## History
history-title = <b>Payments</b>
history-none = No payments yet.
history-succeeded = { $date } · { $duration } · { $price }
history-pending = { $date } · { $duration } · { $price }, not paid yet

## Support
support-title = <b>Support</b>
support-text = Tell us what happened, we will help.
support-facts = We put this into the message ourselves:
support-id = Number: { $id }
support-platform = Device: { $platform }
support-nobody = The shop has not said yet whom to write to.
paysupport-title = <b>Help with payments</b>
paysupport-text = Money is never lost: if you have paid, access opens by itself. If something is wrong, write to us; we will sort it out or give the money back.

## Terms
terms-title = <b>Terms</b>
terms-text = A subscription gives access to the VPN for the time you paid for, counted in days from the payment. Purchases for Telegram Stars follow Telegram’s rules. Questions and refunds: /paysupport
terms-link = Full text: <a href="{ $url }">terms</a>

## Language
language-title = <b>Язык · Language</b>
language-ru = Русский
language-en = English
language-changed = Now in English.

## Pre-checkout
precheckout-unknown = This order was not found. Start again: /start
precheckout-not_yours = This invoice is somebody else’s. Open your own: /start
precheckout-not_pending = This order is paid or canceled already. Start again: /start
precheckout-plan_gone = This plan is no longer sold. Choose another: /start
precheckout-old_price = The price has changed. Start again: /start

## Trouble and small things
failed = Something went wrong. We know about it already. Please try again in a minute: /start
slow-down = Too fast. Please wait a few seconds and press again.
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
