"""The words of a drill's report, Chinese and English."""

from __future__ import annotations

from typing import Final

CHECKS: Final = {
    "heard": ("中枢收到全部起因报文", "Every word of the cause was heard by the hub"),
    "prealarm": ("每个探测器产生预警", "Each detector raised its own alarm"),
    "confirmed": ("两个独立探测点确认火警", "Two witnesses confirmed the fire"),
    "linkage": ("联动在限时内启动", "Linkage began in time"),
    "decided": ("联动命令均已判定可下发（未下发）", "Every command was decided and could leave (none was sent)"),
    "answered": ("受控设备全部应答", "Every device answered"),
    "verified": ("设备状态已证实执行", "What devices report shows that it was done"),
    "released": ("演练结束后全部恢复", "Everything that was held was let go"),
    "detectors": ("区内探测器 50 小时内有上报", "Every detector of the zone was heard within 50 hours"),
    "apart": ("演练未产生任何真实报警", "Nothing of the drill was taken for real"),
    "undisturbed": ("演练期间无真实报警", "No real alarm ended the drill"),
    "over": ("演练自行结束且无残留", "The drill is over and left nothing behind"),
}
VERDICTS: Final = {
    "pass": ("合格", "passed"),
    "fail": ("不合格", "failed"),
    "open": ("无法判定", "not decided"),
}
HOP_WORDS: Final = {
    "published": ("发布", "published"),
    "puback": ("代理确认", "broker took it"),
    "heard": ("收到", "heard"),
    "judged": ("判定（不晚于）", "judged (at the latest)"),
    "stream": ("事件入流", "event in stream"),
    "wire": ("命令发出", "command on the wire"),
    "delivered": ("代理送达", "delivered to broker"),
    "answered": ("设备应答", "answered"),
    "verified": ("状态证实", "verified"),
}
FACTS: Final = {
    "zone": ("防火分区", "Zone"),
    "started": ("开始", "Began"),
    "ended": ("结束", "Ended"),
    "actors": ("演练人", "By"),
    "reason": ("事由", "Reason"),
    "actuators": ("执行机构", "Actuators"),
    "rule": ("规则", "Rule"),
    "event": ("火警事件", "Event"),
    "version": ("软件版本", "Hub version"),
    "verdict": ("结论", "Verdict"),
}
TITLES: Final = {
    "report": ("消防演练报告", "Fire drill report"),
    "checks": ("检查项", "Checks"),
    "timeline": ("时间线（自第一条起因报文，毫秒）", "Timeline (ms from the first word of the cause)"),
    "cause": ("起因", "Cause"),
    "fire": ("火警", "Fire"),
    "commands": ("命令", "Commands"),
    "detectors": ("区内探测器", "Detectors of the zone"),
    "overridden": ("演练被真实报警中止", "A real alarm ended this drill"),
}
COLUMNS: Final = {
    "check": ("检查", "Check"),
    "verdict": ("结果", "Result"),
    "detail": ("说明", "Detail"),
    "device": ("设备", "Device"),
    "what": ("内容", "What"),
    "outcome": ("结局", "Outcome"),
    "kind": ("类型", "Kind"),
    "profile": ("型号", "Profile"),
    "last": ("最近上报", "Last heard"),
    "state": ("在线", "Availability"),
    "played": ("本次代演", "Played"),
}
SENT: Final = ("命令真实下发（双人确认）", "commands were sent (two persons)")
NOT_SENT: Final = ("命令只判定、不下发", "commands were decided, not sent")
PASSED: Final = ("通过", "passed")
FAILED: Final = ("未通过", "failed")
NEVER: Final = ("从未", "never")
YES: Final = ("是", "yes")
SUPPLEMENT: Final = (
    "本系统为辅助系统，不替代经认证的消防联动控制器。",
    "The hub comes beside the certified linkage controller, never in its place.",
)


def both(words: tuple[str, str]) -> str:
    """Return ``zh / en``."""
    return " / ".join(words)
