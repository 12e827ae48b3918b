"""What the doctor says of brokers: what is looked at, why it matters, how it is mended; English and Chinese."""

from __future__ import annotations

from hub.ui.doctor.findings import Words
from hub.ui.words import Text

_CONF = "in mosquitto.conf, then restart mosquitto"
_CONF_ZH = "写入 mosquitto.conf 并重启 mosquitto"

CONF_WORDS = {
    "conf_known": Words(
        Text("mosquitto's configuration", "mosquitto 配置"),
        Text("most of what loses messages stands in it", "多数丢消息的设置都在其中"),
        Text(
            "hub doctor --mosquitto-conf FILE, as somebody who may read it",
            "用有权读取的账户运行 hub doctor --mosquitto-conf 文件",
        ),
    ),
    "conf_queue_messages": Words(
        Text("messages queued for a hub that is away", "集线器离线时排队的消息数"),
        Text(
            "beyond the limit mosquitto says Success to the device and throws the message away",
            "超过上限后，mosquitto 对设备回复成功，却丢弃消息",
        ),
        Text(f"max_queued_messages 0 {_CONF}", f"max_queued_messages 0，{_CONF_ZH}"),
    ),
    "conf_queue_bytes": Words(
        Text("memory for what is queued", "排队消息占用的内存"),
        Text(
            "too small: messages are thrown away as above; none: the kernel may kill mosquitto, queue and all",
            "过小会同样丢弃消息；不设上限则可能被内核杀死，连同队列一起丢失",
        ),
        Text(f"max_queued_bytes: a quarter of the memory, {_CONF}", f"max_queued_bytes 取内存的四分之一，{_CONF_ZH}"),
    ),
    "conf_inflight": Words(
        Text("messages in flight", "在途消息窗口"),
        Text(
            "before 2.0.15 expired messages at the head of the queue block all behind them (#2609)",
            "2.0.15 之前，队首的过期消息会堵住其后所有消息（#2609）",
        ),
        Text(f"max_inflight_messages 0 {_CONF}", f"max_inflight_messages 0，{_CONF_ZH}"),
    ),
    "conf_persistence": Words(
        Text("sessions and queues on disk", "会话与队列落盘"),
        Text(
            "without it every restart forgets the hub's session and all that waited in it",
            "否则每次重启都会丢失会话及其中的全部消息",
        ),
        Text(f"persistence true {_CONF}", f"persistence true，{_CONF_ZH}"),
    ),
    "conf_autosave": Words(
        Text("how often queues are saved", "队列保存间隔"),
        Text(
            "what came since the last save is lost when mosquitto is killed; the default is half an hour",
            "被强制终止时，上次保存之后的消息全部丢失；默认半小时",
        ),
        Text(f"autosave_interval 1 {_CONF}", f"autosave_interval 1，{_CONF_ZH}"),
    ),
    "conf_client_expiration": Words(
        Text("sessions that end by themselves", "会话自动过期"),
        Text(
            "a hub that is away for longer loses its session and all that waited in it",
            "集线器离线超过该时间，其会话及消息全部丢失",
        ),
        Text(
            "remove persistent_client_expiration from mosquitto.conf",
            "从 mosquitto.conf 删除 persistent_client_expiration",
        ),
    ),
    "conf_anonymous": Words(
        Text("connections without a name", "匿名连接"),
        Text("everybody can report a fire, or that there is none", "任何人都能伪造火警或正常状态"),
        Text(f"allow_anonymous false {_CONF}", f"allow_anonymous false，{_CONF_ZH}"),
    ),
    "conf_client_ids": Words(
        Text("client ids bound to users, on every listener", "每个监听端口都绑定客户端标识与用户"),
        Text(
            "else a device with its own password can take the hub's session, and its queue, away",
            "否则任一设备可用自己的口令夺走集线器的会话和队列",
        ),
        Text(
            "use_username_as_clientid true below each listener line: it counts for that listener only",
            "在每个 listener 行之下写 use_username_as_clientid true：它只对该端口生效",
        ),
    ),
    "conf_access": Words(
        Text("access rules", "访问规则"),
        Text("without them every device may speak for every other one", "没有规则时，任何设备都可冒充其他设备"),
        Text(
            "acl_file as `hub init` writes it, in mosquitto.conf", "在 mosquitto.conf 中使用 hub init 生成的 acl_file"
        ),
    ),
    "conf_plain_text": Words(
        Text("listeners without TLS", "未加密的监听端口"),
        Text("passwords and alarms cross the network in the clear", "口令与告警在网络上明文传输"),
        Text(
            "certfile and keyfile below that listener, or bind it to 127.0.0.1",
            "为该端口配置 certfile 和 keyfile，或只绑定 127.0.0.1",
        ),
    ),
    "certificates_last": Words(
        Text("certificates of broker and hub", "代理与集线器的证书"),
        Text(
            "once one has ended, whoever connects by TLS is refused: devices, or the hub itself",
            "证书一旦过期，凡用 TLS 连接者均被拒绝：设备，或集线器自身",
        ),
        Text(
            "put the new one in the same file and restart mosquitto; one that the hub made `hub broker apply` renews",
            "将新证书放入同一文件并重启 mosquitto；由集线器签发的，用 `hub broker apply` 续签",
        ),
    ),
    "conf_packet_size": Words(
        Text("the largest message", "最大消息"),
        Text(
            "a larger one disconnects the device, which sends it again and again and is never heard",
            "过大的消息会使设备断线、反复重发而永远送不达",
        ),
        Text(
            "max_packet_size: limits.payload and 64 KiB more, in mosquitto.conf",
            "max_packet_size 设为 limits.payload 再加 64 KiB",
        ),
    ),
    "conf_memory": Words(
        Text("memory_limit", "内存上限 memory_limit"),
        Text("at the limit mosquitto refuses and drops what devices send", "到达上限后 mosquitto 会拒收并丢弃消息"),
        Text(
            "remove memory_limit; bound the queue by max_queued_bytes",
            "删除 memory_limit，改用 max_queued_bytes 限制队列",
        ),
    ),
    "conf_quality": Words(
        Text("QoS 1 and retained messages", "QoS 1 与保留消息"),
        Text(
            "without QoS 1 nothing is acknowledged, without retained messages nobody knows who is offline",
            "没有 QoS 1 就没有确认；没有保留消息就不知道谁离线",
        ),
        Text("remove max_qos 0 and retain_available false", "删除 max_qos 0 与 retain_available false"),
    ),
    "conf_connections": Words(
        Text("room for every device", "连接数上限"),
        Text("beyond it devices cannot connect, and nobody is told", "超过后设备无法连接，且无人知晓"),
        Text(
            "remove max_connections, or make it more than there are devices", "删除 max_connections，或设为大于设备总数"
        ),
    ),
    "conf_statistics": Words(
        Text("what mosquitto tells of itself", "mosquitto 自身统计"),
        Text("the hub raises an alarm when messages are dropped, if only it is told", "集线器靠它得知丢弃并告警"),
        Text(f"sys_interval 10 {_CONF}", f"sys_interval 10，{_CONF_ZH}"),
    ),
}

BROKER_WORDS = {
    "broker_reachable": Words(
        Text("the broker answers and knows the doctor", "消息代理可达且认识 doctor 用户"),
        Text("without a broker that lasts nothing is heard", "没有正式的消息代理就什么也听不到"),
        Text(
            "start mosquitto; mqtt.host and port; the user hub-doctor and mqtt.passwords.doctor (hub init)",
            "启动 mosquitto；检查 mqtt.host 与端口；用户 hub-doctor 及 mqtt.passwords.doctor（hub init）",
        ),
    ),
    "broker_version": Words(
        Text("its version", "版本"),
        Text(
            "bugs of older ones: the hub lives with these, later versions need no care",
            "旧版缺陷：集线器已规避，新版则无需顾虑",
        ),
        Text(
            "upgrade mosquitto when the distribution does; keep max_inflight_messages 0",
            "随发行版升级 mosquitto；保持 max_inflight_messages 0",
        ),
    ),
    "broker_anonymous": Words(
        Text("a connection without a name, tried", "实测匿名连接"),
        Text("everybody can report a fire, or that there is none", "任何人都能伪造火警或正常状态"),
        Text("allow_anonymous false in mosquitto.conf, then restart", "mosquitto.conf 中 allow_anonymous false 并重启"),
    ),
    "broker_client_id": Words(
        Text("a second client id of one user, tried", "实测同一用户换客户端标识"),
        Text("a device can take the hub's session, and its queue, away", "设备可夺走集线器的会话和队列"),
        Text(
            "use_username_as_clientid true below the listener that the hub uses",
            "在集线器所用 listener 之下写 use_username_as_clientid true",
        ),
    ),
    "broker_session_expiry": Words(
        Text("how long it keeps the session of a hub that is away", "离线会话保留时间"),
        Text("after that the queue is gone, and with it what was said meanwhile", "超过后队列连同期间的消息一并丢失"),
        Text(
            "allow sessions without end (EMQX: mqtt.session_expiry_interval)",
            "允许会话永不过期（EMQX：mqtt.session_expiry_interval）",
        ),
    ),
    "broker_receive_maximum": Words(
        Text("messages in flight, as it tells", "声明的在途消息数"),
        Text(
            "a small window lets expired messages block a queue before mosquitto 2.0.15",
            "窗口过小时，2.0.15 之前过期消息会堵住队列",
        ),
        Text("max_inflight_messages 0 in mosquitto.conf", "mosquitto.conf 中 max_inflight_messages 0"),
    ),
    "broker_packet_size": Words(
        Text("the largest message, as it tells", "声明的最大消息"),
        Text("a larger one disconnects the device, which sends it again and again", "过大的消息会使设备断线并反复重发"),
        Text("max_packet_size above limits.payload, or none", "max_packet_size 大于 limits.payload，或不设"),
    ),
    "broker_quality": Words(
        Text("QoS 1 and retained messages, as it tells", "声明的 QoS 1 与保留消息"),
        Text(
            "without QoS 1 nothing is acknowledged, without retained messages nobody knows who is offline",
            "没有 QoS 1 就没有确认；没有保留消息就不知道谁离线",
        ),
        Text("allow both in the broker's configuration", "在消息代理配置中启用两者"),
    ),
    "broker_dropped": Words(
        Text("what it has thrown away", "已丢弃的消息"),
        Text("each one may have been an alarm; it does not tell whose they were", "其中可能有告警；无法得知来自谁"),
        Text(
            "mend the rows above; the count begins anew when mosquitto is restarted",
            "修复以上各项；mosquitto 重启后重新计数",
        ),
    ),
    "broker_backlog": Words(
        Text("1,200 messages queued and taken again, tried", "实测积压 1,200 条再取回"),
        Text(
            "a hub that is away for minutes owes more; what is missing here is lost there",
            "集线器离线几分钟积压更多；此处缺失即彼处丢失",
        ),
        Text("max_queued_messages 0 in mosquitto.conf, then restart", "mosquitto.conf 中 max_queued_messages 0 并重启"),
    ),
}
