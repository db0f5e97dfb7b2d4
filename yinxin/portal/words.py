"""What the pages say, in Chinese first and English second."""

# ruff: noqa: RUF001 - Chinese text has Chinese punctuation.

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from yinxin.portal.words_certificates import CERTIFICATE_WORDS

LANGUAGES: Final = ("zh", "en")

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "product": ("印信", "Yinxin"),
    "tagline": ("电子政务外网统一身份认证", "Sign-in for the government extranet"),
    "colon": ("：", ": "),
    "comma": ("，", ", "),
    "login": ("登录", "Sign in"),
    "by_password": ("口令登录", "Password"),
    "by_certificate": ("证书登录", "Certificate"),
    "name": ("用户名", "User name"),
    "password": ("口令", "Password"),
    "console": ("管理控制台", "Console"),
    "logout": ("退出登录", "Sign out"),
    "device": ("连接设备", "Connect a device"),
    "device_code": ("设备上显示的代码", "Code on the device"),
    "device_asks": (
        "下面的应用请求以您的身份登录一台设备：",
        "This application asks to sign in on a device as you:",
    ),
    "device_warning": (
        "请核对设备上显示的代码。代码若是他人发给您的，请拒绝。",
        "Compare the code with the device. If somebody sent it to you, say no.",
    ),
    "device_unknown": (
        "没有设备在等待此代码，请再看一眼设备上的代码。",
        "No device waits for this code; look at the device again.",
    ),
    "device_allowed": (
        "设备已连接，可以关闭此页面。",
        "The device is connected. You may close this page.",
    ),
    "device_denied": ("已拒绝该设备。", "The device was refused."),
    "allow": ("允许", "Allow"),
    "deny": ("拒绝", "Refuse"),
    "going_back": ("正在返回应用…", "Going back to the application …"),
    "continue": ("继续", "Continue"),
    "certificate_steps": (
        "请用证书对应的私钥对下面的文本签名（不含换行），再把证书和签名粘贴到表单中。",
        "Sign the text below, without a line end, then paste the certificate and the signature.",
    ),
    "certificate_help": (
        (
            "USB Key 用厂商的客户端（中间件）签名，PKCS#7 或裸签名均可。"
            "没有证书或签名工具时，请换一种方式登录。"
        ),
        (
            "A USB key signs with its vendor's program (middleware), as PKCS#7 or raw. "
            "Without a certificate, or a program to sign with, use another way to sign in."
        ),
    ),
    "by_tls_note": (
        (
            "用于装在浏览器中的证书，或已装好驱动的 USB Key。"
            "页面打不开，即浏览器没有可用的证书，请返回换一种方式。"
        ),
        (
            "For a certificate in this browser, or a USB key whose driver is installed. "
            "If the page does not open, the browser has none: go back, use another way."
        ),
    ),
    "by_challenge": ("或者：对文本签名", "Or sign a text"),
    "forgotten": (
        "忘记口令，或丢失手机、密钥：请联系系统管理员，索取新的设置链接。",
        "Password, phone or key lost: ask the system administrator for a new set-up link.",
    ),
    "login_again": (
        "应用要求您重新登录，以确认是您本人。",
        "The application asks you to sign in again, to be sure that it is you.",
    ),
    "by_tls": (
        "使用浏览器中的证书直接登录",
        "Sign in with a certificate of this browser",
    ),
    "challenge": ("待签名文本", "Text to sign"),
    "challenge_note": (
        "文本仅在几分钟内有效，只能使用一次。",
        "The text is good for a few minutes and for one use.",
    ),
    "certificate": (
        "证书（PEM 或 Base64；签名为 PKCS#7 时不填）",
        "Certificate (PEM or base64; empty for a PKCS#7 signature)",
    ),
    "signature": ("签名（Base64，或 PKCS#7）", "Signature (base64, or PKCS#7)"),
    "command_line": ("用命令行签名", "Sign on the command line"),
    "setup": ("设置口令", "Choose a password"),
    "setup_note": (
        "长度比花样更重要。此链接只能使用一次。",
        "Length matters more than variety. This link works once.",
    ),
    "change_password": ("修改口令", "Change your password"),
    "change_password_note": (
        "修改后，您在各处的登录都会结束，并以新口令重新登录。",
        "Everywhere you are signed in, that ends; here you are signed in anew.",
    ),
    "password_expired": (
        "您的口令已过期，请修改后继续。",
        "Your password is too old: change it, then you go on.",
    ),
    "old_password": ("当前口令", "Present password"),
    "new_password": ("新口令", "New password"),
    "repeat": ("再输一次", "Again"),
    "save": ("保存", "Save"),
    "different": ("两次输入的口令不一致。", "The two passwords differ."),
    "setup_factor_note": (
        "您的账号须使用动态口令。口令和动态口令同时生效。",
        "Your account needs one-time passwords. Both count from this moment on.",
    ),
    "setup_done": ("口令已设置，请登录。", "The password is set. Sign in now."),
    "hello": ("您好", "Hello"),
    "role": ("角色", "Role"),
    "role_system": ("系统管理员", "System administrator"),
    "role_business": ("业务管理员", "Business administrator"),
    "role_audit": ("审计管理员", "Audit administrator"),
    "role_key": ("密钥管理员", "Key management officer"),
    "role_judicial": ("司法取证员", "Judicial officer"),
    "role_none": ("普通用户", "User"),
    "signed_in_since": ("登录时间", "Signed in since"),
    "signed_in_by": ("登录方式", "Signed in by"),
    "amr_pwd": ("口令", "Password"),
    "amr_pop": ("密钥或证书", "Key or certificate"),
    "amr_otp": ("动态口令", "One-time password"),
    "amr_hwk": ("智能密码钥匙", "Hardware key"),
    "last_certificate": ("上次用证书登录：继续", "You used a certificate last: go on with it"),
    "last_passkey": ("上次用通行密钥登录：继续", "You used a passkey last: go on with it"),
    "by_passkey": ("通行密钥登录", "Passkey"),
    "passkey_note": (
        "使用本机、手机或安全密钥中的通行密钥登录，无需口令。",
        "Sign in with a passkey of this device, a phone or a security key; no password is needed.",
    ),
    "passkey_script": (
        "通行密钥需要浏览器启用 JavaScript。",
        "Passkeys need JavaScript: switch it on for this site.",
    ),
    "passkey_use": ("使用通行密钥", "Use a passkey"),
    "passkey_wrong": ("通行密钥未被接受，请重试。", "The passkey was not accepted. Try again."),
    "passkey_refused": ("未能添加通行密钥，请重试。", "The passkey was not added. Try again."),
    "passkey_cannot": (
        "此浏览器不支持通行密钥，或操作已取消。",
        "This browser has no passkeys, or it was cancelled.",
    ),
    "passkeys": ("通行密钥", "Passkeys"),
    "passkeys_note": (
        "通行密钥同时验证设备和使用者，可代替口令与动态口令。",
        "A passkey proves device and person at once, in place of password and code.",
    ),
    "passkey_name": ("名称", "Name"),
    "rename": ("改名", "Rename"),
    "passkey_add": ("添加通行密钥", "Add a passkey"),
    "synced": ("已同步", "synced"),
    "last_used": ("最近使用", "last used"),
    "step_up": ("需要进一步验证身份", "One more step"),
    "step_up_note_own": (
        "您的账号启用了第二步验证，请完成。",
        "Your account has a second factor. Show it.",
    ),
    "step_up_note_two-factors": (
        "此应用要求两种认证方式，请完成第二步验证。",
        "This application wants two factors. Show the second one.",
    ),
    "step_up_nothing": (
        "您没有登记过可以用于此步的认证方式，请联系系统管理员。",
        ("You have enrolled nothing that would do: ask the system administrator."),
    ),
    "factor_lost": (
        "手机不在身边：可输入恢复码。恢复码也丢失：请联系系统管理员重置。",
        (
            "Without your phone: type a recovery code. Without those, too: "
            "ask the system administrator for a reset."
        ),
    ),
    "step_up_note_certificate": (
        "此应用要求使用证书登录。",
        "This application wants a login with a certificate.",
    ),
    "step_up_note_hardware-key": (
        "此应用要求使用智能密码钥匙（USB Key）中的证书登录。",
        "This application wants a certificate whose key lives in a device (a USB key).",
    ),
    "one_time_password": ("动态口令或恢复码", "One-time password, or a recovery code"),
    "code_wrong": (
        "动态口令错误、已使用或已过期。请等下一个口令；若总是错误，请校准手机的时间。",
        (
            "The code is wrong, was used before, or is too old. Wait for the next one; "
            "if it is always wrong, set the clock of your phone."
        ),
    ),
    "verify": ("验证", "Verify"),
    "use_certificate": ("使用证书", "Use a certificate"),
    "not_you": ("换一个用户登录", "Sign in as somebody else"),
    "my_account": ("我的账号", "My account"),
    "acting_as": ("当前身份", "Acting as"),
    "natural": ("本人（自然人）", "Myself (natural person)"),
    "capacity_staff": ("工作人员", "Staff"),
    "capacity_agent": ("经办人", "Agent"),
    "capacity_legal-representative": ("法定代表人", "Legal representative"),
    "switch": ("切换", "Switch"),
    "switch_note": (
        "切换身份后，以原身份登录的应用会退出。",
        "Applications that you entered as the other one are signed out.",
    ),
    "done_switched": ("身份已切换。", "You act as another now."),
    "done_withdrawn": (
        "已结束：该应用持有的您的令牌已失效。",
        "Done: the application holds no token of yours any more.",
    ),
    "done_ended": (
        "会话已结束，经它登录的应用正在收到通知。",
        "The session has ended; its applications are being told.",
    ),
    "done_unbound": ("已解除绑定。", "The certificate signs you in no more."),
    "done_enrolled": ("已添加。", "Added."),
    "done_renamed": ("已改名。", "Renamed."),
    "done_removed": ("已停用。", "Removed."),
    "done_tied": ("已关联。", "Tied."),
    "done_untied": ("已解除关联。", "Untied."),
    "select": ("选择身份", "Choose an account"),
    "select_note": (
        "应用请您选择以哪个身份继续。",
        "The application asks you as whom you want to go on.",
    ),
    "select_as": ("以此身份继续", "Go on as this"),
    "affiliations": ("所属机构", "Organisations"),
    "real_name": ("实名等级", "Real-name level"),
    "real_name_0": ("未实名", "not verified"),
    "real_name_1": ("已核验姓名与证件号", "name and number verified"),
    "real_name_2": ("已核验本人", "person verified"),
    "real_name_3": ("已当面核验", "verified in person"),
    "applications": ("应用", "Applications"),
    "no_applications": (
        "当前没有应用持有您的授权或登录。",
        "No application holds anything of yours now.",
    ),
    "applications_note": (
        "仍持有您的授权、令牌或登录的应用。以前进入过、现已不持有任何内容的，不在此列。",
        (
            "Those that hold a consent, a token or a login of yours now. What you entered earlier, "
            "and holds nothing any more, is not listed."
        ),
    ),
    "entered": ("已登录", "signed in to"),
    "end_tokens": ("结束", "End"),
    "ask_end_tokens": (
        "该应用持有的您的令牌立即失效。它自己的登录要到其过期，或您在此退出登录时才结束。",
        "Its tokens of yours end at once; its own session, when it expires or you sign out here.",
    ),
    "agreed_to": ("已同意", "agreed"),
    "withdraw": ("撤回授权", "Withdraw"),
    "sessions": ("登录会话", "Sessions"),
    "this_session": ("当前会话", "this one"),
    "end_session": ("结束", "End"),
    "certificates": ("证书", "Certificates"),
    "certificates_none": ("没有绑定证书。", "No certificate is bound to you."),
    "bound_to_key": ("绑定到密钥", "bound to one key"),
    "bound_to_subject": ("绑定到证书主体", "bound to the subject"),
    "unbind": ("解除绑定", "Unbind"),
    "since": ("始于", "since"),
    "refused": ("无法进入该应用", "You may not enter this application"),
    "refused_level": (
        "该应用要求更高的登录强度，您尚未登记所需的认证方式。",
        "It wants a stronger login than anything you have enrolled.",
    ),
    "refused_wants": ("该应用要求", "It wants"),
    "refused_enrol_factor": (
        "登记动态口令或通行密钥",
        "Enrol one-time passwords or a passkey",
    ),
    "refused_get_certificate": ("申请证书", "Apply for a certificate"),
    "refused_ask": (
        "如认为您应当可以进入，请联系该应用的管理员",
        "If you think you should be let in, ask the administrator of the application",
    ),
    "try_again": ("再次进入该应用", "Try to enter again"),
    "level_password": ("口令", "a password"),
    "level_two-factors": (
        "两种认证方式（口令加动态口令，或通行密钥）",
        "two factors (a password and a code, or a passkey)",
    ),
    "level_certificate": ("证书", "a certificate"),
    "level_hardware-key": (
        "智能密码钥匙（USB Key）中的证书",
        "a certificate whose key lives in a device (a USB key)",
    ),
    "refused_natural": (
        "该应用仅限以本人（自然人）身份进入，请切换身份。",
        "It is for natural persons. Switch to yourself.",
    ),
    "refused_legal": (
        "该应用仅限以法人身份进入，请切换到您可代表的机构。",
        "It is for legal persons. Switch to an organisation that you act for.",
    ),
    "refused_real-name": (
        "您的实名等级不够，请到办事窗口核验身份。",
        "Your name is not verified well enough. Have it verified at a counter.",
    ),
    "refused_organisation": (
        "该应用未向您所在的机构或您的身份开放。",
        "It is not open to your organisation, or not to what you are there.",
    ),
    "refused_account": (
        "您当前代表的机构已失效，请切换身份。",
        "You may not act for this organisation any more. Switch.",
    ),
    "back_to_application": ("返回应用", "Back to the application"),
    "consent": ("授权确认", "Do you agree?"),
    "consent_note": (
        "应用“{}”希望获取您的以下信息：",
        "The application “{}” wants to know:",
    ),
    "consent_revoke_note": (
        "您可以随时在“我的账号”中撤回。",
        "You can take it back at any time, under My account.",
    ),
    "scope_openid": (
        "确认是您本人（不含姓名等信息）",
        "that it is you, and nothing else",
    ),
    "scope_other": ("代您访问其他系统", "to call another system for you"),
    "scope_profile": ("姓名和用户名", "your name and user name"),
    "scope_email": ("电子邮箱", "your email address"),
    "scope_phone": ("电话号码", "your telephone number"),
    "scope_address": ("通信地址", "your postal address"),
    "scope_account": (
        "身份类型、所代表的机构和实名等级",
        "for which organisation you act, as what, and your real-name level",
    ),
    "scope_identity": ("公民身份号码", "your identity card number"),
    "scope_offline_access": ("在您离线时继续访问", "access while you are away"),
    "scope_admin": ("以您的角色管理本系统", "to administer this service in your role"),
    "agree": ("同意", "Agree"),
    "disagree": ("不同意", "Do not agree"),
    "elsewhere": ("其他登录方式", "Sign in by another system"),
    "linked": ("其他系统的身份", "Identities of other systems"),
    "linked_note": (
        "关联后，可以用该系统的身份登录本账号。",
        "An identity that is tied to this account signs in to it.",
    ),
    "link": ("关联", "Tie"),
    "unlink": ("解除关联", "Untie"),
    "upstream_refused": ("未能登录", "You were not signed in"),
    "upstream_not_tied": ("未能关联", "It was not tied"),
    "upstream_away": (
        "对方系统暂时联系不上，请稍后再试，或改用其他方式登录。",
        "The other system cannot be reached. Try again later, or sign in another way.",
    ),
    "amr_fed": ("其他系统", "Another system"),
    "security": ("登录与安全", "Sign-in and security"),
    "totp": ("动态口令", "One-time passwords"),
    "totp_note": (
        "每次登录除口令外，还要输入手机应用生成的六位动态口令。",
        "At every sign-in, besides the password, you type six digits that your phone shows.",
    ),
    "totp_on": ("已启用", "In use"),
    "totp_off": ("未启用", "Not in use"),
    "totp_enrol": ("启用动态口令", "Use one-time passwords"),
    "totp_scan": (
        "用验证器应用扫描二维码（或手工输入下面的密钥），再输入应用显示的六位数字。",
        "Scan the code with an authenticator (or type the secret), then type the six digits.",
    ),
    "totp_qr": ("二维码：动态口令密钥", "QR code of the secret"),
    "totp_secret": ("密钥", "Secret"),
    "totp_link": ("在本机的验证器应用中打开", "Open in the authenticator on this device"),
    "totp_code": ("六位数字", "Six digits"),
    "remove": ("停用", "Remove"),
    "recovery_codes": ("恢复码", "Recovery codes"),
    "recovery_note": (
        "每个恢复码可代替动态口令使用一次。请现在抄下并妥善保管，它们不会再次显示。",
        "Each works once in place of a one-time password. They are not shown again.",
    ),
    "recovery_left": ("剩余恢复码", "Recovery codes left"),
    "recovery_renew": ("重新生成恢复码", "Make new recovery codes"),
    "confirm_first": (
        "此操作需要您刚刚登录过，请重新登录。",
        "For this you have to have signed in just now. Sign in again.",
    ),
    "cancel": ("取消", "Cancel"),
    "back_home": ("返回首页", "Back to the start"),
    "tokens": ("API 令牌", "API tokens"),
    "tokens_note": (
        "令牌供程序以您的身份调用管理接口，只显示一次。",
        "A token lets a program call the API in your name. It is shown once.",
    ),
    "token_name": ("用途", "Purpose"),
    "token_days": ("有效天数", "Days"),
    "token_create": ("创建令牌", "Create token"),
    "token_new": ("新令牌（请立即保存）", "New token (keep it now)"),
    "token_revoke": ("作废", "Revoke"),
    "confirm": ("确认", "Confirm"),
    "ask_token_revoke": (
        "使用此令牌的程序从此刻起被拒绝，且不能恢复。",
        "What uses this token is refused from this moment on; it cannot be brought back.",
    ),
    "ask_recovery_renew": (
        "此前的恢复码全部失效。",
        "All recovery codes of before end.",
    ),
    "ask_totp_remove": (
        "此后登录不再使用动态口令，恢复码一并失效。",
        "You sign in without one-time passwords from now on, and the recovery codes end too.",
    ),
    "ask_passkey_remove": (
        "此后不能再用此通行密钥登录。",
        "You can no longer sign in with this passkey.",
    ),
    "ask_unlink": (
        "此后不能再经该系统登录，直到重新关联。",
        "You can no longer sign in by way of it, until you tie it again.",
    ),
    "ask_withdraw": (
        "该应用持有的您的令牌立即失效；下次进入时会重新征求您的同意。",
        "Its tokens of yours end at once; it asks you again when you enter it the next time.",
    ),
    "ask_end_session": (
        "此会话立即结束，经它登录的应用也随之退出。",
        "The session ends at once, and so it does in the applications it signed you in to.",
    ),
    "ask_unbind": (
        "此后不能再用此证书登录，直到重新绑定。",
        "You can no longer sign in with this certificate, until it is bound again.",
    ),
    "token_expires": ("到期", "Expires"),
    "logged_out": ("您已退出登录。", "You are signed out."),
    "go_on": ("返回应用", "Back to the application"),
    "logout_ask": ("确定要退出登录吗？", "Do you want to sign out?"),
    "logout_ask_note": (
        "经统一认证登录的各应用也会随之退出。",
        "Applications that you entered through this sign-in are signed out, too.",
    ),
    "stay": ("不退出，返回首页", "Stay signed in"),
    "error": ("无法继续", "This did not work"),
    "back_to_login": ("返回登录页", "Back to sign-in"),
    "wrong": (
        "用户名或口令错误，或用户已被锁定。",
        "The name or the password is wrong, or the user is locked.",
    ),
    "certificate_wrong": ("证书登录未成功", "The certificate login did not succeed"),
    "password_refused": ("口令不符合要求", "The password was refused"),
    "throttled": ("尝试过于频繁。", "Too many attempts."),
    "load_again": ("重新打开页面", "Load the page again"),
    "again_in": ("请在 {}后再试。", "Try again in {}."),
    "some_seconds": ("{} 秒", "{} s"),
    "some_minutes": ("{} 分钟", "{} min"),
    "lock_note": (
        "连续输错 {} 次，用户将锁定 {} 分钟。",
        "After {} wrong passwords in a row a user is locked for {} minutes.",
    ),
    "way_to": ("登录后进入", "You sign in to go on to"),
    "oauth_error": (
        "应用发来的登录请求有误，请联系该应用的管理员。",
        "An application sent you here with a request that is not right. Tell its administrator.",
    ),
    "unknown_application": (
        "该应用的地址未在此登记，请联系该应用的管理员。",
        "This address of an application is not registered here. Tell its administrator.",
    ),
    "entry_lost": (
        "未能进入应用：登录等待过久，或始于另一个浏览器。请重新打开应用，并允许使用 Cookie。",
        (
            "You did not get in: it took too long, or began in another browser. "
            "Open the application again, and allow cookies."
        ),
    ),
    "flow_gone": (
        "此次登录已完成、已过期，或始于另一个浏览器。请从应用重新进入。",
        "This login is over, too old, or was begun in another browser. Open the application again.",
    ),
    "signed_in_as": ("您已登录：{}。", "You are signed in as {}."),
    "no_cookies": (
        "浏览器没有带回 Cookie。请允许本站使用 Cookie，再从应用重新进入，或重新打开页面。",
        (
            "Your browser sent no cookie. Allow cookies for this site; then open the application "
            "again, or load this page again."
        ),
    ),
    "stale_form": (
        "表单已过期，请重新打开页面。",
        "The form is too old or was not made by this site. Load the page again.",
    ),
    "link_gone": (
        "此链接已使用或已过期，请向系统管理员索取新的链接。",
        "This link has been used or has expired. Ask the system administrator for a new one.",
    ),
    "login_first": ("请先登录。", "Sign in first."),
    "busy": ("服务繁忙，请稍后再试。", "The service is busy. Try again in a moment."),
    "detail": ("详细信息", "Detail"),
    "language": ("English", "中文"),
}


def words_of(language: str) -> Mapping[str, str]:
    """Return everything a page may say, in one language."""
    column = LANGUAGES.index(language)
    return {key: texts[column] for key, texts in {**_WORDS, **CERTIFICATE_WORDS}.items()}


def choose_language(cookie: str | None, accept_language: str) -> str:
    """Return the language of a page: chosen before, else what the browser prefers, else Chinese."""
    if cookie in LANGUAGES:
        return cookie
    ranked = []
    for position, item in enumerate(accept_language.split(",")[:10]):
        tag, _, quality = item.strip().partition(";q=")
        primary = tag.partition("-")[0].lower()
        if primary in LANGUAGES:
            ranked.append((-_quality(quality), position, primary))
    return min(ranked)[2] if ranked else LANGUAGES[0]


def _quality(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
