"""What the doctor says of the machine and of the hub itself; English and Chinese."""

from __future__ import annotations

from hub.ui.doctor.findings import Words
from hub.ui.words import Text

MACHINE_WORDS = {
    "disk_file_system": Words(
        Text("where the journal lies", "日志所在文件系统"),
        Text(
            "in memory it is gone at the next start; over a network SQLite's locks and fsync are not to be trusted",
            "内存盘重启即失；网络盘上的锁与落盘不可信",
        ),
        Text("data_dir on a local disk", "将 data_dir 放在本地磁盘"),
    ),
    "disk_space": Words(
        Text("room for the journal", "日志空间"),
        Text("a full disk stops hearing; then the broker's queue fills", "磁盘满则停止接收，随后消息代理队列被占满"),
        Text("a larger disk, or a smaller retention.size", "扩大磁盘，或减小 retention.size"),
    ),
    "disk_fsync": Words(
        Text("an fsync, tried", "实测落盘"),
        Text(
            "acknowledged means on disk: where fsync does nothing, a power cut loses what was acknowledged",
            "确认即已落盘：若落盘无效，断电会丢失已确认的消息",
        ),
        Text(
            "no eatmydata, no write cache without a battery; a disk that takes less than 50 ms",
            "不用 eatmydata，不用无电池写缓存；换更快的磁盘（小于 50 毫秒）",
        ),
    ),
    "clock_kept": Words(
        Text("the clock is kept by something", "时钟同步"),
        Text(
            "times of events and of devices without a clock are this clock's", "事件时间及无时钟设备的时间都以本机为准"
        ),
        Text(
            "apt-get install chrony, or systemctl enable --now systemd-timesyncd",
            "apt-get install chrony，或 systemctl enable --now systemd-timesyncd",
        ),
    ),
    "clock_stepped": Words(
        Text("the clock was not set back", "时钟未被回拨"),
        Text(
            "durations are measured otherwise, but what is written bears the wrong time",
            "时长不受影响，但写下的时间是错的",
        ),
        Text("let something keep the clock; after that it mends itself", "配置时间同步，之后自行恢复"),
    ),
    "secrets_private": Words(
        Text("who may read the secrets", "机密文件权限"),
        Text("whoever reads them can speak as the hub, and delete its alarms", "读到的人可以冒充集线器并删除告警"),
        Text("chmod 600 FILE", "chmod 600 文件"),
    ),
}

OWN_WORDS = {
    "registry_version": Words(
        Text("the registry and its tables", "登记库及其表结构"),
        Text("without it the hub does not start, or knows no device", "否则集线器无法启动，或不认识任何设备"),
        Text(
            "registry.url; run the hub that wrote it, or hub restore", "检查 registry.url；使用写入它的版本，或恢复备份"
        ),
    ),
    "profiles_check": Words(
        Text("device profiles", "设备型号"),
        Text(
            "a mistake keeps a hub at what it had before; a doubt may be a value that nobody sees",
            "有错误时集线器沿用原有内容；可疑处可能有数值被遗漏",
        ),
        Text("hub profiles check", "hub profiles check"),
    ),
    "rules_check": Words(
        Text("rules", "规则"),
        Text(
            "a mistake keeps a hub at what it had before; a doubt may be an alarm that never comes",
            "有错误时集线器沿用原有内容；可疑处可能使告警永不触发",
        ),
        Text("hub rules check", "hub rules check"),
    ),
    "holidays_known": Words(
        Text("on which days China works", "法定节假日与调休"),
        Text(
            "of a year that is not announced only weekends and holidays of a date are known",
            "尚未公布的年份只认周末和固定日期的节日，不认调休",
        ),
        Text("pip install -U chinesecalendar, each December", "每年 12 月 pip install -U chinesecalendar"),
    ),
    "scenes_on": Words(
        Text("what keeps people alive is judged", "生命安全场景均已启用"),
        Text(
            "where its scene is off nobody is told of a fire, or of people who are trapped",
            "场景停用处的火警、困人等不会有人知道",
        ),
        Text(
            "hub scenes enable SCENE --site SITE, when its reason is over",
            "原因消除后：hub scenes enable 场景 --site 站点",
        ),
    ),
    "one_hub": Words(
        Text("one hub by this name", "同名集线器只有一个"),
        Text(
            "two with one partition take the sessions from each other; one of them must never deliver",
            "同一分区的两个集线器互相抢会话，必有一个无法投递",
        ),
        Text(
            "stop the other one, or give it another partition; hub journal adopt only if the old journal is lost",
            "停掉另一个或改其分区；仅当旧日志确已丢失时才用 hub journal adopt",
        ),
    ),
    "deliveries_leave": Words(
        Text("what is sent to webhooks and people", "对外转发与通知"),
        Text("an alarm that nobody is told of helps nobody", "无人收到的告警等于没有告警"),
        Text(
            "hub events deliveries list NAME, hub notify ledger: they say why; retry sends what is dead, drop ends it",
            "hub events deliveries list NAME 与 hub notify ledger 说明原因；retry 可重发，drop --reason 放弃",
        ),
    ),
    "senders_work": Words(
        Text("forwarders and notifiers at work", "转发与通知进程"),
        Text(
            "what nobody sends waits in Redis only as long as its streams are kept", "无人发送的事件过了流保留期就没了"
        ),
        Text(
            "systemctl start hub-notify or hub-forward@NAME; what is no longer wanted: remove its folder and settings",
            "systemctl start hub-notify 或 hub-forward@NAME；不再需要的，请删除其目录与设置",
        ),
    ),
    "receivers_reachable": Words(
        Text("webhooks that the settings name", "设置中的 webhook 地址"),
        Text("events for who cannot be reached wait, and are given up after 72 h", "无法送达的事件会等待，72 小时放弃"),
        Text(
            "look at the address in [forward.NAME] webhook, at DNS, certificates and the firewall between",
            "检查 [forward.NAME] webhook 的地址、DNS、证书以及中间的防火墙",
        ),
    ),
    "roles_told": Words(
        Text("who is told when an alarm is escalated", "告警升级时通知谁"),
        Text("a step that comes due and is told to nobody brings no help", "到期而无人收到的升级带不来援助"),
        Text(
            "hub notify check lists the steps; give each role a route (to: [ROLE]) in the folder of [notify] dir",
            "hub notify check 列出各级；在 [notify] dir 目录中为每个角色增加路由（to: [ROLE]）",
        ),
    ),
    "hub_ready": Words(
        Text("the running hub", "运行中的集线器"),
        Text("what it is not ready for is not heard or not delivered now", "未就绪即表示现在听不到或送不出"),
        Text(
            "hub run, or systemctl start hub; its reasons name what to mend",
            "hub run 或 systemctl start hub；原因中写明需修复之处",
        ),
    ),
    "loop_turns": Words(
        Text("the hub's event loop", "集线器的事件循环"),
        Text(
            "while it stands still no command leaves and no message is acknowledged", "停顿期间命令不发出，消息不确认"
        ),
        Text(
            "look at hub_loop_turn_seconds, other load on the machine, very large revisions; workers share the devices",
            "查看 hub_loop_turn_seconds、机器上的其他负载、过大的修订；可用多个 worker 分担设备",
        ),
    ),
}
