"""What people are refused with, in Chinese: the domain says its reasons in English sentences.

A sentence that is not here is shown as it is, behind words that say what did not work. Those of the
modules that people meet are all here; a test reads them out of the source.
"""

# ruff: noqa: E501, RUF001 - a sentence a line; Chinese text has Chinese punctuation.

from __future__ import annotations

import re
from typing import Final

_SENTENCES: Final[dict[str, str]] = {
    # ---- passwords ----
    r"a password has (\d+) to (\d+) characters": r"口令应有 \1 至 \2 个字符",
    r"the password is mostly the user name; choose another": "口令与用户名过于相近，请换一个",
    r"the password repeats the same few characters; choose another": "口令中重复的字符太多，请换一个",
    r"the password is in a list of passwords that became public": "此口令已在公开泄露的口令清单中，请换一个",
    r"it is one of your last (\d+) passwords; choose another": r"此口令是您最近 \1 次用过的口令之一，请换一个",
    # ---- certificates ----
    r"the challenge has expired or was answered; ask for a new one": "待签名文本已过期或已用过，请对本页新的文本签名",
    r"there is no certificate in the answer": "没有提交证书",
    r"the certificate holds, but it is not bound to a user of this service": "证书有效，但尚未绑定到本系统的用户，请联系系统管理员",
    r"an administrator's certificate is bound with its key: bind the new one": "管理员的证书按密钥绑定，请让另一位管理员绑定新证书",
    r"the certificate was not issued by this authority": "证书不是由本机构签发的",
    r"the certificate was not signed by the issuer it names": "证书的签名与其签发者不符",
    r"a CA certificate cannot log in": "CA 证书不能用于登录",
    r"the certificate is not for signing \(key usage digitalSignature\)": "该证书不能用于签名，请改用签名证书",
    r"the certificate is not for logging in \(extended key usage clientAuth\)": "该证书不能用于登录，请改用身份认证证书",
    r"the certificate is longer than (\d+) octets": r"证书超过 \1 字节",
    r"the certificate names two signature algorithms \(RFC 5280, 4\.1\.1\.2\)": "证书的签名算法前后不一致",
    r"the certificate is revoked: certificateHold": "证书已冻结；如已找回介质，请联系受理点解冻",
    r"the certificate is revoked(: \w+)?": "证书已吊销，请申请新证书",
    r"the certificate is unknown": "本机构没有签发过此证书",
    r"the certificate is withheld": "证书尚未签发完成，请稍后再试",
    r"the certificate is not valid before (.*)": r"证书尚未生效，生效时间：\1",
    r"the certificate expired at (.*)": r"证书已过期，过期时间：\1",
    r"the certificate in the proxy's header is too long": "代理转来的证书过长",
    r"the proxy's header is not a PEM certificate, percent-encoded": "代理转来的证书无法读取，请联系系统管理员",
    r"this login has expired or began in another browser; again": "此次登录已过期，或是在另一个浏览器中开始的，请重新登录",
    r"this is no ticket of ours; sign in again": "登录信息无法识别，请重新登录",
    r"your browser showed no certificate": "浏览器没有出示证书：请插好 USB Key 或导入证书，重新打开浏览器后再试",
    r"begin at the sign-in page": "请从登录页开始",
    r"send 1 to (\d+) certificates, as PEM or as base64 of the DER": r"请提交 1 至 \1 张证书（PEM，或 DER 的 Base64）",
    r"the certificate is missing": "没有提交证书",
    r"the signature is missing": "没有提交签名",
    r"the certificate is not base64": "证书不是 PEM 或 Base64",
    r"the signature is not base64": "签名不是 Base64",
    r"the (\S+) signature does not verify": r"\1 签名与证书不符：请确认签的是本页文本，且末尾没有换行",
    r"the signed message is not CMS SignedData": "签名不是 PKCS#7（CMS SignedData）；裸签名须同时提交证书",
    r"the signed message brings no certificates, or no signer": "PKCS#7 签名中没有证书或签名者，请让中间件附带证书",
    r"the signed message does not bring the certificate that its signer names": "PKCS#7 签名没有附带签名者的证书，请让中间件附带证书",
    r"the signed message uses a digest that is not taken; SHA-256, SHA-384 and SM3 are": "PKCS#7 签名的摘要算法不被接受；可用 SM3、SHA-256、SHA-384",
    r"the signed message has (\d+) signers, and one is wanted": r"PKCS#7 签名有 \1 个签名者，只能有一个",
    r"the signed message is about another text": "签名的不是本页的文本，请对本页文本重新签名",
    r"the signed message .*": "PKCS#7 签名无法读取；裸签名须同时提交证书",
    # ---- passkeys ----
    r".* has 1 to (\d+) characters on one line, none of them invisible": r"名称应有 1 至 \1 个字符，在同一行，且不含不可见字符",
    r"(\d+) passkeys are the most; remove one first": r"最多只能有 \1 个通行密钥，请先停用一个",
    r"the challenge has expired or was answered; try again": "操作超时，请重试",
    r"the passkey was refused; try again, or another one": "通行密钥未被接受，请重试或换一个",
    r"the passkey was used elsewhere at the same moment; again": "此通行密钥刚在别处使用过，请重试",
    r"the passkey was not accepted": "通行密钥未被接受，请重试或换一个",
    r"there is no such passkey": "没有这个通行密钥，或已停用",
    r"the passkey is not known here, or its user may not log in": "此通行密钥未在此登记，或其用户不能登录",
    r"the answer (has more than \d+ characters|names no credential)": "浏览器交回的内容无法识别，请重试",
    r"the answer is not that of a passkey": "浏览器没有交回通行密钥，请重试",
    # ---- other systems ----
    r"this identity is tied to no account here: sign in with your account, and tie it under sign-in and security": "该身份尚未关联本系统的账号：请先用本系统的账号登录，再在“登录与安全”中关联",
    r"the name or the password is wrong": "用户名或口令错误",
    r"this answer belongs to another login; try again": "返回的结果属于另一次登录，请重试",
    r"the other system did not let you in": "对方系统没有允许登录",
    r"this login began in another browser; try again": "此次登录是在另一个浏览器中开始的，请重试",
    r"this login took too long; try again": "登录等待过久，请重试",
    r"this answer is from another system than was asked": "返回的结果不是来自所请求的系统",
    r"the other system gave no identity for this answer": "对方系统没有给出身份，请重试；若仍失败，请联系系统管理员",
    r"the identity that came back (.*)": "对方系统给出的身份未通过校验，请重试；若仍失败，请联系系统管理员",
    r"somebody else is signed in now": "当前登录的是另一个用户，请重新操作",
    r"this identity is somebody's, or you have one of this source": "该身份已关联到其他账号，或您已关联过该系统的身份",
    r"there is no such sign-in here": "没有这种登录方式",
    # ---- a registration authority apart ----
    r"not asked yet: rows wait for the word of the certificate authority": "尚未询问：各行等待证书认证机构答复",
    r"not asked: some rows go on without the word of the certificate authority": "未询问：部分行未经证书认证机构答复即继续",
    r"not asked: (.*)": r"未询问：\1",
    # ---- one's own page ----
    r"sign in first": "请先登录",
    r"this session was continued elsewhere or has ended; sign in again": "会话已在别处继续或已结束，请重新登录",
    r"a second factor needs a login of the same person before it": "请先用口令登录，再完成第二步验证",
    r"days is not a number": "有效天数不是数字",
    r"a token is good for 1 to (\d+) days": r"令牌的有效期为 1 至 \1 天",
    r"there is no such token": "没有这个令牌，或已作废",
    r"you may not act for this organisation, or not any more": "您不能代表该机构，或已不再能代表",
    r"this application has nothing of yours": "该应用没有您的授权或令牌",
    r"you have no such session": "该会话已结束",
    r"you have no such binding": "该证书未绑定到您的账号",
    r"the address of this page is not complete": "页面地址不完整，请从应用重新进入",
    r"you asked for this already: that request is still open": "您已提交过同样的申请，正在办理",
    r"the request of these codes is somebody else's: sign in as that person": "这两个代码属于另一个人的申请，请以其身份登录",
    # ---- applications ----
    r"nothing waits for this application": "没有待通知该应用的内容",
    r"there is a client '(.*)' already, or one with its resource or address": r"应用标识“\1”、其资源或地址已被登记",
    r"another client has this resource or address": "另一个应用已登记了该资源或地址",
    r"a client id has 3 to 64 letters, digits or \. _ -": "应用标识应有 3 至 64 个字母、数字或 . _ -",
    r"there is no such client": "没有登记这个应用",
    r"this client has no secret: it is public, or authenticates by a key": "该应用没有密钥：它是公开客户端，或以自己的私钥认证",
    r"the old secret can be kept for 0 to (\d+) days": r"旧密钥可保留 0 至 \1 天",
    r"unknown scopes (.*); known are (.*)": r"未知的范围（scope）：\1；可用的有：\2",
    r"give (\d+) to (\d+) redirect URIs, each once": r"请填写 \1 至 \2 个回调地址，不要重复",
    r"a client of an OpenID provider needs the scope openid": "范围（scope）须包含 openid",
    r"a redirect URI has no wildcard: '(.*)'": r"地址不能含通配符：\1",
    r"a redirect URI has no fragment \(RFC 6749, 3\.1\.2\): '(.*)'": r"地址不能含 #：\1",
    r"a redirect URI has only the characters of RFC 3986: '(.*)'": r"地址含有不允许的字符：\1",
    r"the redirect URI cannot be read: '(.*)'": r"地址无法识别：\1",
    r"a redirect URI has a host and no user information: '(.*)'": r"地址须有主机名，且不含用户名：\1",
    r"a redirect URI is https, or http to a loopback host: '(.*)'": r"地址须以 https:// 开头（本机回环地址可用 http）：\1",
    r"the resource cannot be read: '(.*)'": r"资源标识无法识别：\1",
    r"the address of a page cannot be read: '(.*)'": r"应用页面的地址无法识别：\1",
    r"a page of an application is at https:// or http://, not '(.*)'": r"应用页面的地址须以 https:// 或 http:// 开头：\1",
    r"a resource is an absolute URI without a fragment: '(.*)'": r"资源标识须为不含 # 的完整 URI：\1",
    r"frontchannel_logout_uri is on the host of one of the redirect URIs": "前端退出通知地址须与某个登录回调地址同主机",
    r"authn\.outbound\.allowed_networks is empty, so no application can be called: name the networks that applications are in, in CIDR notation": "设置 authn.outbound.allowed_networks 为空，无法通知任何应用：请先在其中写明应用所在的网段（CIDR）",
    r"a prefix of CAS services is https://host/path/ and ends with a slash: (.*)": r"CAS 服务地址前缀须为 https://主机/路径/ 并以 / 结尾：\1",
    r"a gate origin is https://host\[:port\] and nothing behind, not (.*)": r"反向代理应用的来源须为 https://主机[:端口]，其后无内容：\1",
    r"(\w+) must be https://host/…, not '(.*)'": r"\1 须以 https:// 开头：\2",
}
_COMPILED: Final = [(re.compile(sentence), said) for sentence, said in _SENTENCES.items()]


def in_language(sentence: str, language: str) -> str:
    """Return a sentence of the domain in the language of a page, where it is known."""
    if language == "zh":
        for pattern, said in _COMPILED:
            match = pattern.fullmatch(sentence)
            if match is not None:
                return match.expand(said)
    return sentence
