"""What the console says, in Chinese first and English second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from yinxin.portal.words import LANGUAGES

FRAME: Final[Mapping[str, tuple[str, str]]] = {
    "product": ("印信", "Yinxin"),
    "console": ("管理控制台", "Console"),
    "colon": ("：", ": "),
    "comma": ("，", ", "),
    "language": ("English", "中文"),
    "skip": ("跳到正文", "Skip to the content"),
    "menu": ("菜单", "Menu"),
    "own_page": ("个人主页", "My page"),
    "logout": ("退出登录", "Sign out"),
    "zone": ("时区", "Time zone"),
    "change": ("更改", "Change"),
    "search": ("搜索", "Search"),
    "all": ("全部", "All"),
    "none": ("无", "None"),
    "yes": ("是", "Yes"),
    "no": ("否", "No"),
    "back": ("返回", "Back"),
    "next": ("下一页", "Next page"),
    "first_page": ("回到首页", "First page"),
    "nothing": ("没有符合条件的记录。", "Nothing matches."),
    "export": ("导出", "Export"),
    "confirm": ("确认", "Confirm"),
    "cancel": ("取消", "Cancel"),
    "save": ("保存", "Save"),
    "open": ("查看", "Open"),
    "reason": ("原因", "Reason"),
    "state": ("状态", "State"),
    "time": ("时间", "Time"),
    "name": ("名称", "Name"),
    "kind": ("类型", "Kind"),
    "actor": ("操作者", "Actor"),
    "done": ("操作已完成。", "Done."),
    "detail": ("详细信息", "Detail"),
    "optional": ("可不填", "Optional"),
    "required_note": ("带 * 的项必填。", "Fields with * are required."),
    # ---- problems ----
    "problem_malformed": ("提交的内容有误", "What was sent cannot be taken"),
    "problem_unauthenticated": ("请先登录", "Sign in first"),
    "problem_forbidden": ("您没有这项权限", "You may not do this"),
    "problem_not-found": ("没有找到", "There is no such thing"),
    "problem_conflict": ("当前状态不允许此操作", "The present state does not allow it"),
    "problem_refused": ("按规则不能受理", "Refused by the rules"),
    "problem_too-large": ("内容过大", "Too large"),
    "problem_throttled": ("操作过于频繁，请稍后再试", "Too often: try again later"),
    "problem_unavailable": (
        "所依赖的服务暂不可用，未做任何更改",
        "Something is out of reach; nothing was changed",
    ),
    "problem_other": ("未能完成", "This did not work"),
    "mend": ("修改后再提交", "Mend it and send it again"),
    "send_again": ("再次提交", "Send again"),
    "stale_form": (
        "表单已过期，请返回并重新打开页面。",
        "The form is too old. Go back and load the page again.",
    ),
    # ---- sections ----
    "nav_dashboard": ("概览", "Overview"),
    "nav_requests": ("工作队列", "Work queue"),
    "nav_certificates": ("证书", "Certificates"),
    "nav_bulk": ("批量", "Bulk"),
    "nav_massrevocations": ("批量吊销", "Mass revocation"),
    "nav_organisations": ("机构", "Organisations"),
    "nav_subjects": ("人员与设备", "People and devices"),
    "nav_rights": ("权限", "Rights"),
    "nav_recoveries": ("密钥恢复", "Key recovery"),
    "nav_profiles": ("证书模板", "Profiles"),
    "nav_proposals": ("多人审批", "Proposals"),
    "nav_clients": ("应用", "Applications"),
    "nav_users": ("用户", "Users"),
    "nav_audit": ("审计", "Audit"),
    "nav_revocation": ("吊销服务", "Revocation"),
    "nav_settings": ("系统", "System"),
}

ENUMS: Final[Mapping[str, tuple[str, str]]] = {
    # ---- roles ----
    "role_system": ("系统管理员", "System administrator"),
    "role_business": ("业务管理员", "Business administrator"),
    "role_audit": ("审计管理员", "Audit administrator"),
    "role_key": ("密钥管理员", "Key management officer"),
    "role_judicial": ("司法取证员", "Judicial officer"),
    "role_none": ("普通用户", "User"),
    # ---- certificates ----
    "certificate_reserved": ("签发中", "Being signed"),
    "certificate_issued": ("有效", "Issued"),
    "certificate_expired": ("已过期", "Expired"),
    "certificate_failed": ("未签发", "Failed"),
    "certificate_held": ("已冻结", "Held"),
    "certificate_revoked": ("已吊销", "Revoked"),
    # ---- requests ----
    "request_pending": ("待审核", "To review"),
    "request_reviewed": ("待制证", "To make"),
    "request_awaiting-pickup": ("待领取", "To be picked up"),
    "request_approved": ("处理中", "In progress"),
    "request_issued": ("已签发", "Issued"),
    "request_done": ("已完成", "Done"),
    "request_rejected": ("已拒绝", "Rejected"),
    "operation_apply": ("申请", "Apply"),
    "operation_reissue": ("补发", "Re-issue"),
    "operation_rekey": ("换发", "Re-key"),
    "operation_renew": ("延期", "Renew"),
    "operation_freeze": ("冻结", "Freeze"),
    "operation_unfreeze": ("解冻", "Unfreeze"),
    "operation_revoke": ("吊销", "Revoke"),
    "operation_pickup-resend": ("两码重发", "Send codes again"),
    "operation_make": ("制证", "Make"),
    "operation_query": ("查询", "Query"),
    "operation_statistics": ("统计", "Statistics"),
    "operation_rights": ("权限管理", "Rights"),
    "operation_organisations": ("机构管理", "Organisations"),
    "step_entry": ("录入", "Entry"),
    "step_review": ("审核", "Review"),
    "step_make": ("制证", "Make"),
    # ---- reasons (RFC 5280, 5.3.1) ----
    "reason_unspecified": ("未说明", "Unspecified"),
    "reason_keyCompromise": ("密钥泄露", "Key compromise"),
    "reason_cACompromise": ("CA 密钥泄露", "CA compromise"),
    "reason_affiliationChanged": ("隶属关系变更", "Affiliation changed"),
    "reason_superseded": ("证书被替代", "Superseded"),
    "reason_cessationOfOperation": ("停止使用", "Cessation of operation"),
    "reason_certificateHold": ("冻结", "Certificate hold"),
    "reason_privilegeWithdrawn": ("权限撤销", "Privilege withdrawn"),
    "reason_aACompromise": ("属性机构密钥泄露", "AA compromise"),
    # ---- organisations and subjects ----
    "level_province": ("省", "Province"),
    "level_city": ("市", "City"),
    "level_county": ("县（区）", "County"),
    "level_department": ("部门", "Department"),
    "level_unit": ("单位", "Unit"),
    "change_created": ("设立", "Created"),
    "change_renamed": ("更名", "Renamed"),
    "change_moved": ("划转", "Moved"),
    "change_closed": ("撤销", "Closed"),
    "subject_person": ("自然人", "Person"),
    "subject_organisation": ("法人", "Organisation"),
    "subject_device": ("设备", "Device"),
    "identifier_identity-card": ("居民身份证", "Identity card"),
    "identifier_passport": ("护照", "Passport"),
    "identifier_staff-number": ("工号", "Staff number"),
    "identifier_credit-code": ("统一社会信用代码", "Unified social credit code"),
    "identifier_device-number": ("设备编号", "Device number"),
    # ---- bulk ----
    "batch_checking": ("检查中", "Being checked"),
    "batch_checked": ("待提交", "Checked"),
    "batch_pending": ("待审核", "To review"),
    "batch_issuing": ("签发中", "Issuing"),
    "batch_paused": ("已暂停", "Paused"),
    "batch_cancelling": ("取消中", "Cancelling"),
    "batch_cancelled": ("已取消", "Cancelled"),
    "batch_rejected": ("已拒绝", "Rejected"),
    "batch_done": ("已完成", "Done"),
    "item_new": ("未检查", "New"),
    "item_valid": ("合格", "Valid"),
    "item_bad": ("不合格", "Bad"),
    "item_started": ("签发中", "Started"),
    "item_issued": ("已签发", "Issued"),
    "item_failed": ("失败", "Failed"),
    "item_cancelled": ("已取消", "Cancelled"),
    # ---- acts under control ----
    "act_ca-certificate": ("签发 CA 证书", "CA certificate"),
    "act_profile-change": ("变更证书模板", "Profile change"),
    "act_role-change": ("变更管理员", "Role change"),
    "act_mass-revocation": ("批量吊销", "Mass revocation"),
    "act_credential": ("重置管理员凭证", "New credential"),
    "proposal_proposed": ("待审批", "Proposed"),
    "proposal_approved": ("已同意", "Approved"),
    "proposal_executed": ("已执行", "Executed"),
    "proposal_rejected": ("已否决", "Rejected"),
    "proposal_expired": ("已过期", "Expired"),
    "proposal_failed": ("执行失败", "Failed"),
    # ---- keys ----
    "recovery_user": ("用户恢复", "User recovery"),
    "recovery_judicial": ("司法恢复", "Judicial recovery"),
    "recovery_requested": ("待审批", "Requested"),
    "recovery_approved": ("已批准", "Approved"),
    "recovery_delivered": ("已交付", "Delivered"),
    "recovery_rejected": ("已否决", "Rejected"),
    "recovery_expired": ("已过期", "Expired"),
    # ---- health ----
    "level_ok": ("正常", "OK"),
    "level_warning": ("警告", "Warning"),
    "level_critical": ("严重", "Critical"),
    "level_unknown": ("未知", "Unknown"),
}


class Words(dict[str, str]):
    """The words of one language. What has none (a new state, say) is shown as it is."""

    def of(self, kind: str, value: object) -> str:
        """Return the word for a value of an enumeration."""
        return self.get(f"{kind}_{value}", str(value))


def _in(column: int, *groups: Mapping[str, tuple[str, str]]) -> Words:
    return Words({key: texts[column] for group in groups for key, texts in group.items()})


def words_of(language: str, *groups: Mapping[str, tuple[str, str]]) -> Words:
    """Return everything that the frame and a section say in one language."""
    return _in(LANGUAGES.index(language), FRAME, ENUMS, *groups)
