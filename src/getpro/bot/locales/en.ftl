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
button-check = Check payment
button-again = Try again
button-another-way = Pay another way
button-cancel = Cancel
button-copy = Copy link
button-open-link = Open link
button-qr = QR code
button-another-device = Another device
button-not-working = Not working?
button-write-support = Message support

button-reminders = Reminders
button-remind-on = Remind me
button-remind-off = Do not remind me
button-hour-back = −1 hour
button-hour-forward = +1 hour

## Ways to pay
provider-yookassa = Card or SBP
provider-cryptopay = Cryptocurrency
provider-stars = Telegram Stars
provider-other = { $code }

## Durations
duration-months = { $months ->
    [one] { $months } month
   *[other] { $months } months
}
left-days = { $days ->
    [1] last day
   *[other] { $days } days left
}
until = until { $date }

## How it stands with a subscription; kind is trial or paid
period-active = { $kind ->
    [trial] Your trial is active { $until }
   *[paid] Your subscription is active { $until }
}
period-given = { $kind ->
    [trial] Your trial lasts { $until }
   *[paid] Your subscription is paid { $until }
}
period-ended = { $kind ->
    [trial] Your trial ended on { $date }
   *[paid] Your subscription ended on { $date }
}
access-opening = We are setting up your access and will message you when it works.
access-updating = We are extending your access and will message you when the new period takes effect.
access-delayed = The access server is not responding right now. We will open your access ourselves and message you right away; it usually takes a few minutes. There is nothing you need to do.

## Menu
menu-title = <b>{ $shop }</b>
menu-nothing = A fast, hassle-free VPN. Access opens right after payment.
menu-terms = By continuing, you accept the <a href="{ $url }">terms</a>.
menu-note = This bot works with buttons and does not read messages. If you have a question, press “Support”.

## Plans
plans-title = <b>Choose a plan</b>
plans-hint = The longer the plan, the cheaper each month.
plans-none = Nothing is on sale right now. Please check back later.
plans-gone = This plan is no longer sold. Please choose another.
plan-line = <b>{ $duration }</b>: { $price }
plan-month = { $price } a month
plan-saved = save { $percent }%
plan-usual = usual choice
plan-button = { $months }{"\u00A0"}mo. · { $price }

## Way to pay
ways-title = <b>How would you like to pay?</b>
ways-plan = Subscription for { $duration }
ways-gone = This way to pay is not available right now. Please choose another.

## Closed for a while; words are the operators' own
closed-title = <b>Maintenance</b>
closed-shop = Buying and renewing is not possible just now: we are working on the shop. What is paid works; what you have just paid for we will open ourselves.
closed-shop-words = { $words }
closed-way = { $provider }: not working for a while. Payments already begun are safe.
closed-way-words = { $provider }: not working for a while. { $words }

## E-mail
email-title = <b>Where should we send the receipt?</b>
email-ask = Send your e-mail address in one message. We only ask once.
email-wrong = That address does not look right. Please send it again, for example: anna@example.com

## Waiting for money
waiting-title = <b>Payment: { $duration }</b>
waiting-price = Amount due: { $price }
waiting-how = Press “Pay”. Once the money arrives, this screen updates by itself and your access opens.
waiting-away = The payment system is not responding yet. No money has been taken. We will ask it again, and the payment button will appear here by itself, usually within a minute.
waiting-not-yet = The money has not arrived yet. If you have paid, please wait: this screen will update by itself.

## How a payment ended
paid-title = <b>Payment received: { $price }</b>
paid-open = Access is open { $until }
open-next = Now connect your device.
kept-title = <b>We are checking your payment by hand</b>
kept-what = A payment for this order has arrived, but not the one we expected: the amount, currency or payer is different, or it has already been refunded.
kept-safe = Your money is not lost: the payment is on record for this order. You do not need to pay again.
kept-next = We will sort it out and either open your access or return what has not been refunded yet. If you have questions, contact support.
money-not-taken = No money has been taken.
money-may-come = If the money arrives after all, the time you paid for will be added by itself.
declined-title = <b>The payment did not go through</b>
declined-next = Please try again or contact support.
declined-why-insufficient = The bank says there is not enough money on the card.
declined-why-limit = The bank says the card limit has been exceeded.
declined-why-card = The bank did not accept the card details: check the number, expiry date and security code.
declined-why-confirmation = The payment was not confirmed with the code from the bank.
declined-why-away = The bank is not responding right now.
declined-why-expired = The time to pay has run out.
declined-why-other = The bank or the payment system declined the payment.
canceled-title = <b>Order cancelled</b>
money-credited-apart = The money that came for it was credited separately, as support decided.
money-given-back = Your money has been refunded. When it arrives depends on your bank or Telegram.
refused-title = <b>We could not create the payment</b>
refused-next = Please try again a little later or contact support.

## Money given back
refunded-title = <b>Refunded: { $price }</b>
refunded-when = When it arrives depends on your bank or payment system.
refunded-open = Your access is open { $until }
refunded-closed = Access for this subscription is closed.

## Notices
notice-open-title = <b>Access is open</b>
notice-delayed-title = { $kind ->
    [trial] <b>Your trial is almost ready</b>
   *[paid] <b>Your subscription is almost ready</b>
}

## Reminders of an end; kind is trial or paid
reminder-in-three-days = { $kind ->
    [trial] <b>Your trial ends in 3 days</b>
   *[paid] <b>Your subscription ends in 3 days</b>
}
reminder-next-in-three-days = { $kind ->
    [trial] { $date }. If you like the VPN, subscribe early: the days add up.
   *[paid] { $date }. Renew early: the days add up.
}
reminder-tomorrow = { $kind ->
    [trial] <b>Your trial ends tomorrow</b>
   *[paid] <b>Your subscription ends tomorrow</b>
}
reminder-next-tomorrow = { $kind ->
    [trial] { $date }. To stay connected, subscribe: the days add up.
   *[paid] { $date }. To stay connected, renew it: the days add up.
}
reminder-ended = { $kind ->
    [trial] <b>Your trial has ended</b>
   *[paid] <b>Your subscription has ended</b>
}
reminder-next-ended = { $kind ->
    [trial] It ended on { $date }. Subscribe, and access works again without setting up your device anew.
   *[paid] It ended on { $date }. Renew it, and access works again without setting up your device anew.
}
reminder-day-after = <b>Your VPN access is closed</b>
reminder-next-day-after = { $kind ->
    [trial] Your trial ended on { $date }. If you still need the VPN, subscribe. This is our last reminder.
   *[paid] Your subscription ended on { $date }. If you still need the VPN, renew it. This is our last reminder.
}
reminders-title = <b>Reminders</b>
reminders-on = We remind you 3 days and 1 day before your subscription ends, when it ends, and the day after.
reminders-off = No reminders: you keep track of the end yourself.
reminders-time = Your time now: { $now }
reminders-hint = We only write by day. If this is not your time, set it right.

## Trial
trial-started = Your trial has started.
trial-used = The trial is no longer available.

## My subscription
subscription-title = <b>My subscription</b>
subscription-none = You have no subscription yet.
subscription-traffic = Traffic: { $used } of { $limit }
subscription-traffic-free = Traffic: { $used }, unlimited
subscription-devices = Devices: { $used } of { $limit }
subscription-devices-free = Devices: { $used }
subscription-paid-by = Last payment: { $provider }

## Connect
connect-title = <b>Connect</b>
connect-choose = On which device?
connect-on = <b>Connect: { $platform }</b>
connect-app = 1. Install <a href="{ $url }">{ $app }</a>.
connect-link = { $platform ->
    [tv] 2. Copy the link and add it in the app on your TV; it is easiest from your phone.
   *[other] 2. Open the link on this device, or copy it and paste it into the app.
}
connect-none = You need a subscription first.
connect-later = The link cannot be had right now: the server does not answer. Try again in a minute.
connect-qr = Point the other device’s camera at the code, or scan it in the app.
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
history-refunded = { $date } · { $duration } · { $price }, { $back } refunded
history-kept = { $date } · { $duration } · { $price }, money received, we are checking it

## Support
support-title = <b>Support</b>
support-text = Tell us what happened and we will help.
support-facts = We will add this to your message:
support-id = ID: { $id }
support-platform = Device: { $platform }
support-nobody = The shop has not given a support contact yet.
paysupport-title = <b>Help with payments</b>
paysupport-text = Your money will not get lost: once the payment goes through, access opens by itself. If something is wrong, write to us and we will sort it out or refund you.

## Something does not work
button-trouble = Something does not work
button-trouble-paid = Paid, but no access
button-trouble-connection = VPN does not connect
button-trouble-other = Something else
button-connect-anew = Connect again
trouble-title = <b>Something does not work</b>
trouble-what = What exactly? We will look at once and tell the team.
trouble-known = You are not the only one. The team is already mending it.
trouble-passed-on = We have told the team. If this did not help, please write to support.
trouble-passed-on-only = We have told the team.
trouble-too-many = You have written to us many times today, and all of it is kept. Please write the rest to support.
trouble-waiting-title = <b>We have your money and are opening access</b>
trouble-paid-fact = Paid: { $price }, { $date }
trouble-waiting-next = Your money is safe, there is no need to pay again.
trouble-unpaid-title = <b>We see no payment yet</b>
trouble-unpaid = There are no orders of yours, neither paid nor waiting to be.
trouble-unpaid-next = Has the money been taken? It is not lost: write to support and attach the receipt, we will find it and open access or give it back.
trouble-pending-title = <b>The money has not arrived yet</b>
trouble-pending = An order waits to be paid: { $duration }, { $price }.
trouble-pending-next = If your bank has taken it already, press “Check payment”: we will ask the payment system right now. If it comes later, access opens by itself.
trouble-refunded-title = <b>This money has been given back: { $price }</b>
trouble-open-title = <b>Access is open</b>
trouble-open-next = All that is left is to connect a device.
trouble-ended-title = <b>The period is over</b>
trouble-connection-title = <b>VPN does not connect</b>
trouble-connection-tips = What helps most often: update the subscription in the app, switch the VPN off and on, change the network (Wi-Fi to mobile or back).
trouble-other-title = <b>What does not work?</b>
trouble-other-ask = Describe it in one message: what you did and what you saw.
trouble-thanks-title = <b>Thank you, it is noted</b>

## How things stand, to those whom a trouble touches
status-title = <b>We know that something is wrong</b>
status-delay = The access you have paid for opens late. We have your money, there is no need to pay again. We will open it ourselves and write when it works.
status-connection = The VPN may not connect just now. Your money and days are safe. We are mending it and will write when it works.
status-payments = Payments do not go through for everybody just now. If money has been taken, it is not lost. We are mending it and will write when it works.
status-other = Not everything works just now. Your money and days are safe. We are mending it and will write when it works.
status-over-title = <b>Everything works again</b>
status-over = We are sorry that you had to wait. If something is still wrong, press “Support” in the menu.

## Help
help-title = <b>Help</b>
help-what = This bot sells a VPN subscription, opens your access and helps you connect your devices. Everything works with buttons; these commands do the same:
help-command = /{ $command }: { $what }
help-support = Have a question or a problem? Press “Support”.

## Terms
terms-title = <b>Terms</b>
terms-text = A subscription gives you access to the VPN for the period you have paid for. It is counted in days from the payment; a renewal adds to the days you have left. Purchases with Telegram Stars are subject to Telegram’s rules. Questions and refunds: /paysupport
terms-link = Full text: <a href="{ $url }">terms</a>

## Language
language-title = <b>Язык · Language</b>
language-ru = Русский
language-en = English
language-changed = Now in English.

## Shut out
blocked-title = <b>Access closed</b>
blocked-text = The seller has closed your access. If this is a mistake, contact support.

## Operators
message-from = <b>A message from support</b>
button-desk-find = Find a customer
button-desk-stuck = Stuck: { $count }
button-desk-refresh = Refresh
button-desk-extend = Add days
button-desk-message = Write
button-desk-block = Block
button-desk-unblock = Unblock
button-desk-payments = Payments and refunds
button-desk-refund = Refund { $sum }
button-desk-part = Refund a part
button-desk-hand = Already refunded by hand
button-desk-retry = Try again
button-desk-credit = Credit
button-desk-refunded = Money was refunded
button-desk-dismiss = Dismiss
button-desk-match = until { $date }
button-desk-match-ended = ended { $date }
button-desk-match-without = no subscription
button-desk-customer = Customer
desk-title = <b>The shop today</b> · { $date }
desk-taken = Received: { $sum }, { $count ->
    [one] { $count } payment
   *[other] { $count } payments
}
desk-taken-by = { "  " }{ $provider }: { $sum }, { $count }
desk-given-back = Refunded: { $sum }
desk-newcomers = New customers: { $count }, trials: { $trials }
desk-active = Paid subscriptions: { $count }
desk-ask-find = <b>Whom shall we find?</b>
    Write a customer’s number, @name, a payment (p12), or the provider’s number of a payment.
desk-ask-extend = <b>How many days, and why?</b>
    Customer { $id }. For example: 7 outage on 24 November
desk-ask-message = <b>What shall we write to customer { $id }?</b>
    The bot passes on your next message in the name of support.
desk-ask-block = <b>Why do we block customer { $id }?</b>
    Access closes at once, and the bot sells them nothing. Their days are kept.
desk-ask-unblock = <b>Why do we unblock customer { $id }?</b>
    The days that are left open again, and the customer is told.
desk-ask-refund = <b>Why do we refund { $sum }?</b>
    Payment p{ $id }. The money goes at once, and the unused days with it.
desk-ask-part = <b>How much do we refund, and why?</b>
    Payment p{ $id }, { $sum } left. For example: 100.50 a week without connection
desk-ask-hand = <b>How much have you refunded yourself, and why?</b>
    Payment p{ $id }, { $sum } left. The shop only records it. For example: 100.50 card transfer
desk-ask-retry = <b>Why do we try { $id } again?</b>
    The reason stays in the records.
desk-ask-credit = <b>Why do we credit { $id }?</b>
    If not for this order, begin with customer and plan, for example: 42 1 paid by an old link
desk-ask-refunded = <b>Why do we mark { $id } as refunded?</b>
    You have refunded the money yourself. The reason stays in the records.
desk-ask-dismiss = <b>Why do we dismiss { $id }?</b>
    The reason stays in the records.
desk-found-several = More than one was found, choose.
desk-found-none = Nobody was found.
desk-note = ✅ { $note }
desk-failed = That did not work: { $why }
desk-away = No answer from outside: { $why }
desk-since = With us since { $date }, language { $language }
desk-came-by = Came by the link { $link }
desk-blocked = Blocked since { $date }
desk-unreachable = Messages do not arrive: { $why }
desk-no-subscription = No subscription
desk-subscription = Subscription until { $end }
desk-subscription-ended = Subscription ended { $end }
desk-undelivered = not on the panel yet
desk-panel = On the panel: { $status } until { $end }, { $user }
desk-panel-gone = Not on the panel
desk-panel-away = The panel did not answer: { $why }
desk-payment-succeeded = p{ $id } · { $date } · { $sum } · { $provider }
desk-payment-pending = p{ $id } · { $date } · { $sum } · { $provider }, not paid yet
desk-payment-canceled = p{ $id } · { $date } · { $sum } · { $provider }, canceled
desk-back = { $sum } refunded
desk-payments-title = <b>Which payment?</b>
desk-payment-title = <b>Payment p{ $id }</b>
desk-refund-succeeded = { $sum } refunded, the customer will be told
desk-refund-pending = A refund of { $sum } is recorded, the provider is still at it: we see to it
desk-refund-refused = The provider refused to refund { $sum }: { $why }
desk-extended = Added, subscription until { $end }
desk-done-block = Customer blocked
desk-done-unblock = Customer unblocked
desk-done-message = The message is on its way
desk-done-retry = { $outcome }
desk-done-credit = Credited: payment p{ $id }
desk-done-refunded = Marked as refunded
desk-done-dismiss = Dismissed
desk-stuck-title = <b>What is stuck</b>
desk-stuck-none = Nothing is stuck.
desk-stuck-more = And { $count } more. The whole list: 2getpro payments stuck
desk-stuck-since = Since { $since }
desk-stuck-customer = Customer { $id }
desk-stuck-gone = This entry is no longer on the list
ending-settled = Settled
ending-seen-before = This payment was settled before
ending-premature = The money has not come yet: the provider waits for it
ending-canceled = Canceled at the provider’s, no money came
ending-no-such-charge = The provider knows no such payment
ending-unreadable = The provider’s answer cannot be read
ending-no-order-of-ours = Not an order of ours, and no money for it
ending-stuck = Nothing has changed
ending-brought-forward = It will be done within seconds
stuck-underpaid = underpaid
stuck-overpaid = overpaid
stuck-foreign_currency = foreign currency
stuck-unknown_order = unknown order
stuck-refunded_before_settled = refunded before it was settled
stuck-wrong_payer = paid by somebody else
stuck-expired_undelivered = ended before it was delivered
stuck-given_back_twice = refunded twice
stuck-sum_differs = sums differ
stuck-not_delivered_away = panel away
stuck-not_delivered_refused = panel refused
stuck-not_delivered_yet = not delivered yet
stuck-refund_refused = refund refused
stuck-refund_not_yet = refund not finished
stuck-notice_disproved = not confirmed by the provider
stuck-notice_unsettled = notice waits
stuck-job_failed = an error of ours

## Pre-checkout
precheckout-unknown = We could not find this order. Start again: /start
precheckout-not_yours = This invoice was issued to someone else. Open your own: /start
precheckout-not_pending = This order has already been paid or cancelled. Start again: /start
precheckout-plan_gone = This plan is no longer sold. Choose another: /start
precheckout-held = The shop is being restored after a failure. You were not charged; please try again in a few minutes.
precheckout-old_price = The price has changed. Start again: /start

## Trouble and small things
failed = Something went wrong, and we already know about it. Please try again in a minute: /start
held = The shop is being restored after a failure. Your money and your days are safe. Please try again in a few minutes.
slow-down = Too fast. Please wait a few seconds and try again.
screen-old = This screen is up to date now.

## In a group
group-ours = The reports of the checks and the incidents come here. To open an incident: /incident what has happened. Everything else is in a private chat with me.
group-other = The number of this group: <code>{ $chat }</code>. To have the reports of the checks here, put it into OPERATIONS_CHAT. For everything else write to me in private.

## Commands and descriptions
command-start = Menu
command-subscription = My subscription
command-plans = Buy or renew
command-support = Support
command-terms = Terms
command-paysupport = Help with payments
command-reminders = Reminders and your time
command-language = Language
command-help = What this bot can do
about = A VPN subscription in three taps. Pay by card, SBP or Telegram Stars.
