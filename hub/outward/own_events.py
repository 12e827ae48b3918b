"""What the hub's own events are called where no rule gave them a label, and so what people read of them."""

from __future__ import annotations

from collections.abc import Mapping

LABELS: Mapping[str, Mapping[str, str]] = {
    "device.broker_session_lost": {
        "en": "The broker forgot our session: messages may be lost",
        "zh": "消息代理丢失了会话：可能有消息丢失",
    },
    "device.broker_dropped_messages": {
        "en": "The broker dropped messages: they are lost",
        "zh": "消息代理丢弃了消息：已丢失",
    },
    "device.stream_tail_lost": {
        "en": "Redis lost its newest events; they are in the store",
        "zh": "Redis 丢失了最新事件；时序库中仍有",
    },
    "device.consumer_group_lagging": {
        "en": "A program that reads events is too far behind and loses the oldest",
        "zh": "读取事件的程序落后过多，最旧的事件将丢失",
    },
    "device.consumer_group_lost": {
        "en": "Redis forgot, and a consumer group is gone: its reader must begin again",
        "zh": "Redis 丢失了数据，消费组已不存在：其读者须重新开始",
    },
    "device.clock_stepped": {"en": "The clock of this machine was set", "zh": "本机时钟被调整"},
    "device.content_reloaded": {"en": "Rules and profiles were read again", "zh": "规则与型号已重新加载"},
    "device.rule_failed": {"en": "A rule has a mistake and did not judge", "zh": "规则出错，未能判断"},
    "device.network_offline": {"en": "A network is gone: its devices are not heard", "zh": "网络离线：其设备无法上报"},
    "device.network_online": {"en": "A network is back", "zh": "网络恢复"},
    "command.executed": {"en": "A command was done, says the device", "zh": "命令已执行（设备答复）"},
    "command.verified": {"en": "A command was done, as the device shows", "zh": "命令已执行（状态已证实）"},
    "command.unverified": {"en": "The device said done, and shows otherwise", "zh": "设备称已执行，但状态不符"},
    "command.rejected": {"en": "The device refused a command", "zh": "设备拒绝命令"},
    "command.failed": {"en": "A command did not reach its device", "zh": "命令未能送达设备"},
    "command.timeout": {"en": "A device did not answer a command", "zh": "设备未答复命令"},
    "command.expired": {"en": "A command came too late and was not sent", "zh": "命令过期，未发送"},
    "command.let_go": {"en": "A hold was let go, after it was tried again", "zh": "经重试，保持已解除"},
    "command.given_up": {
        "en": "A hold is not let go, and nobody tries any more: somebody has to look",
        "zh": "保持未能解除，已停止重试：请到现场查看",
    },
    "command.superseded": {"en": "A command gave way to a more important one", "zh": "命令让位于更高优先级"},
    "command.cancelled": {"en": "A command was taken back", "zh": "命令已撤回"},
    "command.resumed": {"en": "A hold is in force again", "zh": "保持恢复生效"},
    "command.rehearsed": {"en": "In a drill: this would have been sent", "zh": "演练：本应发送的命令"},
    "command.interlocked": {"en": "An interlock keeps a command from leaving", "zh": "联锁阻止命令发送"},
    "command.waiting_for_uplink": {"en": "A command waits until its device speaks", "zh": "命令等待设备上报后发送"},
}


def label_of(name: str, label: Mapping[str, str]) -> Mapping[str, str]:
    """Return what an event is called: by its own label, else by ours, else by nothing."""
    return label or LABELS.get(name, {})
