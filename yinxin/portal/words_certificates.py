# ruff: noqa: RUF001 - Chinese text has Chinese punctuation
"""What the pages of a person's certificates say, Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CERTIFICATE_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "my_certificates": ("我的证书", "My certificates"),
    "own_none": ("您还没有证书。", "You have no certificate yet."),
    "own_requests": ("我的申请", "My requests"),
    "own_requests_none": ("没有申请。", "You have not asked for anything."),
    "apply": ("申请证书", "Apply for a certificate"),
    "apply_note": (
        (
            "证书写入您登记的姓名和用户名。申请由受理点审核；审核通过后，受理点分两路交给您参考号和授权码，"
            "凭两码领取证书。"
        ),
        (
            "It carries your registered name and your user name. Your registration office reviews "
            "the request, and then gives you a reference number and an authorisation code by two "
            "ways: with both you pick the certificate up."
        ),
    ),
    "apply_none": (
        "本系统没有开放自助申请的证书种类。",
        "No kind of certificate can be applied for here.",
    ),
    "kind_of": ("证书种类", "Kind of certificate"),
    "of_organisation": ("所属机构", "Organisation"),
    "no_organisation": ("不属于任何机构", "none"),
    "submit_application": ("提交申请", "Apply"),
    "profile_person-authentication": ("个人身份认证（登录）", "Signing in"),
    "profile_person-signing": ("个人电子签名", "Signing documents"),
    "profile_person-dual-signing": (
        "个人双证（签名与加密）",
        "Pair of certificates: signing and encryption",
    ),
    "state_issued": ("有效", "valid"),
    "state_held": ("已冻结", "on hold"),
    "state_revoked": ("已吊销", "revoked"),
    "state_reserved": ("签发中", "being issued"),
    "state_failed": ("签发失败", "failed"),
    "request_pending": ("待审核", "waits for its review"),
    "request_reviewed": ("待制证", "waits to be made"),
    "request_awaiting-pickup": ("待领取", "waits for your pick-up"),
    "request_approved": ("处理中", "being carried out"),
    "request_issued": ("已签发", "issued"),
    "request_done": ("已完成", "done"),
    "request_rejected": ("已拒绝", "rejected"),
    "operation_apply": ("申请", "new certificate"),
    "operation_reissue": ("补发", "in the place of a lost one"),
    "operation_rekey": ("换发", "new key"),
    "operation_renew": ("延期", "renewal"),
    "valid_until": ("有效期至", "valid until"),
    "valid_from": ("有效期自", "Valid from"),
    "ends": ("有效期至", "Valid until"),
    "state": ("状态", "State"),
    "holder_name": ("持有人", "Holder"),
    "certificate_issuer": ("签发机构", "Issuer"),
    "serial": ("序列号", "Serial number"),
    "pick_up": ("凭两码领取", "Pick up with two codes"),
    "pick_up_title": ("领取证书", "Pick up a certificate"),
    "pick_up_note": (
        (
            "填写受理点交给您的参考号和授权码，并粘贴由您的密钥生成的证书请求（PKCS#10）。"
            "私钥不离开您的设备。"
        ),
        (
            "Enter the reference number and the authorisation code from your registration office, "
            "and paste a certificate request (PKCS#10) made with your key. The private key stays "
            "with you."
        ),
    ),
    "reference": ("参考号", "Reference number"),
    "authorisation_code": ("授权码", "Authorisation code"),
    "csr": ("证书请求（PEM）", "Certificate request (PEM)"),
    "csr_command": ("用命令行生成", "Making one on a command line"),
    "collect": ("领取", "Pick up"),
    "collected": ("证书已签发", "The certificate is issued"),
    "collected_bound": (
        "此证书现在可以用来登录。",
        "You can sign in with it from now on.",
    ),
    "collected_later": (
        "此证书尚在签发，请稍后凭同样的两码和请求再领取一次。",
        "It is being issued. Come again with the same codes and the same request.",
    ),
    "collected_unbound": (
        "此证书不用于登录本系统。如需用它登录，请联系系统管理员。",
        "It does not sign you in here. If it should, ask the system administrator.",
    ),
    "chain_pem": ("证书链（PEM）", "Certificate and chain (PEM)"),
    "encryption_certificate": ("加密证书（PEM）", "Encryption certificate (PEM)"),
    "enveloped_key": (
        "加密私钥的数字信封（Base64）",
        "Enveloped encryption key (Base64)",
    ),
    "download_pem": ("下载证书（PEM）", "Download (PEM)"),
    "report_lost": ("挂失", "Report it lost"),
    "report_lost_note": (
        "立即冻结：从此刻起此证书不能登录，也不能通过验证。受理点随后核实；找到后可由受理点解冻。",
        (
            "It is frozen at once: from this moment on it signs nobody in, and verifies nowhere. "
            "Your registration office looks at it afterwards, and releases it if you find it "
            "again."
        ),
    ),
    "report_lost_done": (
        "已挂失，证书已冻结。",
        "It is reported lost, and on hold.",
    ),
    "sign_in_with_it": ("用此证书登录", "Sign in with it"),
    "sign_in_with_it_note": (
        "窗口制作的证书在此登记后即可用来登录。",
        "One that was made for you at a counter signs you in from then on.",
    ),
    "renew_own": ("延期", "Renew"),
    "renew_own_note": (
        "密钥不变，有效期从现在重新计算。",
        "The key stays; the validity begins anew.",
    ),
    "new_key": ("更换密钥", "Replace the key"),
    "new_key_note": (
        "由受理点审核，凭两码用新密钥领取；旧证书随后吊销。",
        (
            "Your registration office reviews it; you pick the new one up with two codes and a new "
            "key, and the old one is revoked."
        ),
    ),
    "recoveries": ("我的密钥恢复记录", "Recoveries of my key"),
    "recoveries_note": (
        "加密密钥每一次被申请恢复都列在这里。",
        "Every wish to recover the encryption key is listed here.",
    ),
    "recoveries_none": ("从未有人申请恢复。", "Nobody ever asked to recover it."),
    "recoveries_away": (
        "暂时无法连接密钥管理中心。",
        "The key management centre cannot be reached now.",
    ),
    "recovery_user": ("用户恢复", "for the user"),
    "recovery_judicial": ("司法恢复", "by a court's order"),
    "recovery_requested": ("待审批", "requested"),
    "recovery_approved": ("已批准", "approved"),
    "recovery_delivered": ("已交付", "delivered"),
    "recovery_rejected": ("已否决", "rejected"),
    "recovery_expired": ("已过期", "expired"),
    "asked_by": ("申请人", "asked for by"),
    "approved_by": ("批准人", "approved by"),
    "back_to_certificates": ("返回我的证书", "Back to my certificates"),
    "refused_form": ("未能办理", "It was refused"),
}
