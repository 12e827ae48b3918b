"""What each reason not to be ready means, and what to do now: by its code, in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hub.ui.words import Text


@dataclass(frozen=True, slots=True)
class Advice:
    """What a code means for what is heard, and the next step of whoever stands before it."""

    means: Text
    now: Text


_WAIT = Text("wait; it goes on by itself", "等待，会自行继续")
_SERVER = Text(
    "start Redis (or Valkey) again, or mend redis.url or a certificate; `hub doctor` tells which; nothing is lost",
    "恢复 Redis（或 Valkey），或更正 redis.url 或证书；运行 `hub doctor` 可查明；期间不丢数据",
)

ADVICE: Mapping[str, Advice] = {
    "not_answering": Advice(
        Text("no process of ours answers at this address", "此地址没有本系统的进程应答"),
        Text(
            "start it (`hub run`, `hub notify run` …, systemctl start); what comes waits; the log tells why it ended",
            "启动它（`hub run`、`hub notify run` 等，或 systemctl start）；期间消息排队等待；退出原因见其日志",
        ),
    ),
    "another_answers": Advice(
        Text(
            "what answers at this address is no process of ours, or one of another version",
            "此地址应答的不是本系统的进程，或版本不同",
        ),
        Text(
            "who listens there? `ss -ltnp`; end it, or give ours another port ([http], [notify.http] …) and start it",
            "查看谁在监听：`ss -ltnp`；停止它，或为本系统另设端口（[http]、[notify.http] 等）并启动",
        ),
    ),
    "not_running": Advice(
        Text("it has not begun, or it stops", "尚未开始，或正在停止"),
        Text("wait; if it lasts, read its log", "等待；若持续，请查看日志"),
    ),
    "starting_own_redis": Advice(Text("its own Valkey reads its files", "自带的 Valkey 正在读取文件"), _WAIT),
    "starting_files": Advice(Text("profiles and rules are read", "正在读取设备模型与规则"), _WAIT),
    "starting_registry": Advice(
        Text("the registry is opened; nothing is heard yet", "正在打开登记库，尚未接收"),
        Text(
            "is its database running, and registry.url right? `hub doctor`",
            "检查数据库与 registry.url；运行 `hub doctor`",
        ),
    ),
    "starting_journal": Advice(Text("journal and state are checked", "正在检查日志与状态"), _WAIT),
    "starting_recovery": Advice(Text("what no checkpoint covers is applied again", "正在重放检查点之后的记录"), _WAIT),
    "starting_redis": Advice(Text("Redis is asked whose the partition is", "正在向 Redis 确认分区归属"), _WAIT),
    "starting_store": Advice(Text("the time series store is opened", "正在打开时序库"), _WAIT),
    "starting_revision": Advice(Text("the registry is read", "正在读取登记库"), _WAIT),
    "session_blind": Advice(
        Text(
            "the broker has not handed over all that it queued: alarms may be late, none is lost",
            "消息代理排队的消息尚未全部收到：告警可能延迟，但不会丢失",
        ),
        Text(
            "is the broker running, are mqtt.host, port and passwords right? `hub doctor`; connected = wait",
            "检查消息代理是否运行，mqtt.host、端口与密码是否正确（`hub doctor`）；已连接则等待",
        ),
    ),
    "subscription_refused": Advice(
        Text(
            "the broker lets the hub hear nothing on these topics: what devices say there is lost",
            "消息代理拒绝了这些主题的订阅：设备在其上发送的消息会丢失",
        ),
        Text(
            "let the hub's user read them there (ACL); it asks again every ten seconds",
            "在消息代理的 ACL 中允许集线器的用户读取；系统每十秒重试一次",
        ),
    ),
    "commands_held_up": Advice(
        Text(
            "everything is heard and judged, but no command leaves: doors and gates do not do what rules tell them",
            "接收与判断正常，但命令无法发出：门禁与道闸不会执行规则的指令",
        ),
        Text(
            "is the password of mqtt.passwords.downlink right, does the broker let its user in? `hub doctor`",
            "检查 mqtt.passwords.downlink 的密码，以及消息代理是否允许该用户接入（`hub doctor`）",
        ),
    ),
    "journal_held_up": Advice(
        Text(
            "the disk takes nothing (full, or read-only): no more is heard, the broker queues; what was taken is safe",
            "磁盘无法写入（已满或只读）：停止接收，由消息代理排队；已接收的数据安全",
        ),
        Text(
            "make room on the disk of data_dir, or lower retention.size; it goes on by itself",
            "清理 data_dir 所在磁盘，或调小 retention.size；随后自行恢复",
        ),
    ),
    "journal_forgets": Advice(
        Text(
            "nothing that is heard is lost, but what was delivered goes whatever retention.age says: trace, replay and"
            " dossiers lose their proof",
            "接收的数据不会丢失，但已投递的记录会提前清除，不受 retention.age 限制：追溯、重放与卷宗将失去依据",
        ),
        Text("make room on the disk of data_dir", "清理 data_dir 所在磁盘"),
    ),
    "stage_stands_still": Advice(
        Text(
            "a part of the hub has something to do and does not move: the disk is slow, or it hangs; nothing is lost",
            "集线器的某一环节有任务却无进展：磁盘缓慢或冻结，或已挂起；数据不会丢失",
        ),
        Text(
            "look at the disk of data_dir; one that hangs is restarted by systemd, else do it yourself",
            "检查 data_dir 所在磁盘；挂起时 systemd 会自动重启，否则执行 `systemctl restart hub`",
        ),
    ),
    "broker_dropped": Advice(
        Text("the broker threw messages away: those are lost", "消息代理丢弃了消息：这些已丢失"),
        Text(
            "`hub doctor` names the limit of mosquitto.conf that was reached; then find who floods",
            "运行 `hub doctor` 查明 mosquitto.conf 的哪个限制被触及；再找出大量发送者",
        ),
    ),
    "broker_not_kept": Advice(
        Text(
            "the broker does not learn what the registry says: no new device gets in, none that was revoked is out",
            "消息代理未能与登记保持一致：新设备无法接入，已吊销的设备仍可接入",
        ),
        Text(
            "what it says stands beside: mosquitto must run with the files that the hub keeps; `hub broker plan`",
            "原因见旁；mosquitto 须使用 hub 维护的文件运行；运行 `hub broker plan`",
        ),
    ),
    "registry_behind": Advice(
        Text(
            "the hub works with an older registry: what was added, changed or disabled since is not so for it",
            "集线器仍按较早的登记工作：此后的新增、修改与停用尚未生效",
        ),
        Text(
            "what stands beside says why: mend it, also what comes behind it waits; one that is away it awaits",
            "原因见旁，请更正：其后的改动也在等待；登记库不可用时会自动等待",
        ),
    ),
    "files_refused": Advice(
        Text(
            "the hub began with the profiles and rules that it had: what its files say since is not so for it",
            "集线器启动时沿用了原有的型号与规则：文件此后的改动尚未生效",
        ),
        Text(
            "mend the file that stands beside (`hub profiles check`, `hub rules check`); then `hub rules apply`",
            "更正旁边所列文件（运行 `hub profiles check`、`hub rules check`），再运行 `hub rules apply`",
        ),
    ),
    "dossiers_unsealed": Advice(
        Text(
            "alarms are judged and told, but their dossiers are not sealed; in retention.age they lose their proof",
            "告警照常判断与通知，但其卷宗尚未封存；超过 retention.age 后将失去依据",
        ),
        Text(
            "what stands beside says why; `hub alarms seal` tries at once; retention.dossiers = 0 does without",
            "原因见旁；运行 `hub alarms seal` 立即重试；retention.dossiers = 0 则不封存",
        ),
    ),
    "redis_unsafe": Advice(
        Text("Redis could forget what it is given, so it is given nothing", "Redis 可能遗忘数据，因此暂不写入"),
        Text("`hub doctor` names the setting; then it goes on by itself", "运行 `hub doctor` 查明设置；更正后自行恢复"),
    ),
    "redis_unreachable": Advice(
        Text("Redis does not answer: events wait on our disk", "Redis 无应答：事件暂存本机磁盘"), _SERVER
    ),
    "redis_forgot": Advice(
        Text(
            "Redis has forgotten events that it had confirmed; they are in the store, alarms and twins are shown again",
            "Redis 遗忘了已确认的事件；时序库中仍有，告警与设备状态已重新写入",
        ),
        Text(
            "who emptied it, or what did it come back from (a failover, an old copy)? `hub events list --since` has"
            " the events; a group that is gone is made again by its reader, from 0",
            "查明 Redis 被清空或回退（故障切换、旧备份）的原因；用 `hub events list --since` 查看事件；"
            "丢失的消费组由其读者从 0 重新建立",
        ),
    ),
    "streams_behind": Advice(
        Text(
            "events wait on our disk; alarms are judged, people learn late",
            "事件暂存本机磁盘；告警照常判断，但通知延迟",
        ),
        _SERVER,
    ),
    "twins_behind": Advice(
        Text(
            "what devices last said is out of date in Redis (hub:twin:*); events and alarms go on, nothing is lost",
            "Redis 中的设备最新状态（hub:twin:*）已过时；事件与告警不受影响，不丢数据",
        ),
        Text(
            "what Redis says stands beside: its memory, or what the user of redis.url may (RENAME, ~hub:*)",
            "Redis 的拒绝原因见旁：内存不足，或 redis.url 用户的权限（RENAME、~hub:*）；更正后自动重写",
        ),
    ),
    "requests_unheard": Advice(
        Text(
            "nothing that people ask is heard (acknowledging, commands, rules); devices are, and alarms are told",
            "收不到人工请求（确认告警、下发命令、重载规则等）；设备消息与告警照常",
        ),
        Text(
            "what Redis says stands beside: a key of somebody else in the place of hub:control:PARTITION (DEL or RENAME"
            " it), or what the user of redis.url may (XREAD, XINFO, ~hub:*)",
            "Redis 的拒绝原因见旁：hub:control:分区 处是别人的键（DEL 或 RENAME），"
            "或 redis.url 用户的权限（XREAD、XINFO、~hub:*）；更正后自动继续",
        ),
    ),
    "timeseries_behind": Advice(
        Text("points wait on our disk; events and commands go on", "测点暂存本机磁盘；事件与命令不受影响"),
        Text(
            "is the store running, does database or bucket exist, is the token right? `hub doctor`; then it goes on",
            "检查时序库是否运行、数据库或 bucket 是否存在、令牌是否正确（`hub doctor`）；更正后自行续写",
        ),
    ),
    "ownership_unconfirmed": Advice(
        Text("nobody has confirmed lately that this partition is ours", "近期无法确认此分区归本机所有"),
        Text(
            "as for redis_unreachable; if Redis is well, does a second hub run? `hub doctor`",
            "同 redis_unreachable；若 Redis 正常，检查是否有第二个集线器在运行（`hub doctor`）",
        ),
    ),
    "partition_refused": Advice(
        Text(
            "this partition alone does not work: it hears nothing, the broker queues; the others go on",
            "仅此分区停止工作：不再接收，由消息代理排队；其他分区照常",
        ),
        Text(
            "what stands beside says why: mend it, then restart the hub, or its worker alone "
            "(pkill -f 'serving NAME:'); what the broker has no room for is lost",
            "原因见旁，请更正后重启集线器，或仅重启其工作进程（pkill -f 'serving 分区名:'）；"
            "超出消息代理队列上限的消息会丢失",
        ),
    ),
    "worker_down": Advice(
        Text(
            "a worker has died: its partition hears nothing, the broker queues",
            "一个工作进程已退出：其分区停止接收，由消息代理排队",
        ),
        Text("wait, it is started again; if it comes back, read the log", "等待，会自动重启；若反复出现，请查看日志"),
    ),
    "worker_silent": Advice(
        Text("a worker does not answer", "一个工作进程无应答"),
        Text("wait some seconds; is the machine overloaded?", "等待数秒；检查本机是否过载"),
    ),
    "ledger_unavailable": Advice(
        Text("its ledger cannot be read or written: nothing is sent", "台账无法读写：暂停发送"),
        Text("is the disk of data_dir full, and is the folder ours?", "检查 data_dir 磁盘是否已满、目录归属是否正确"),
    ),
    "reading_held_up": Advice(
        Text("so much waits to be sent that nothing more is read", "待发送过多，暂停读取"),
        Text(
            "mend the receiver (`hub notify ledger`, `hub events deliveries list`)",
            "修复接收方（`hub notify ledger`、`hub events deliveries list`）",
        ),
    ),
    "not_following": Advice(Text("it has not found its place in the streams yet", "尚未找到在事件流中的位置"), _SERVER),
    "receiver_refuses": Advice(
        Text("a receiver takes nothing: people or systems are not told", "接收方拒收：相关人员或系统未被告知"),
        Text(
            "what it answers stands beside; mend it, then `hub notify retry` or `hub events deliveries retry`",
            "对方应答见旁；修复后运行 `hub notify retry` 或 `hub events deliveries retry`",
        ),
    ),
    "not_watching": Advice(
        Text("it reads what it must remember, or Redis is away", "正在读取所需记忆，或 Redis 不可用"), _SERVER
    ),
    "city_rules_refused": Advice(
        Text(
            "the city engine began with the rules that it had: what its files say since is not so for it",
            "城市引擎启动时沿用了原有的规则：文件此后的改动尚未生效",
        ),
        Text(
            "mend the file that stands beside (`hub city check`); then start `hub city run` again",
            "更正旁边所列文件（运行 `hub city check`），再重新启动 `hub city run`",
        ),
    ),
    "city_held_up": Advice(Text("Redis does not answer: events wait there", "Redis 无应答：事件在其中等待"), _SERVER),
}
"""Every code that a /readyz of ours may say, and ``not_answering`` for what says nothing."""


def advised(reasons: Iterable[Mapping[str, str]]) -> list[dict[str, object]]:
    """Return reasons with what they mean and what to do now, each in ``en`` and ``zh``."""
    return [{**reason, **_words_of(reason["code"])} for reason in reasons]


def _words_of(code: str) -> dict[str, object]:
    advice = ADVICE.get(code)  # a page must answer whatever it is asked of; a law sees to it that there is one
    return {} if advice is None else {"means": advice.means.plain(), "now": advice.now.plain()}
