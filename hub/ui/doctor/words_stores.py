"""What the doctor says of Redis and time series stores; English and Chinese."""

from __future__ import annotations

from hub.ui.doctor.findings import Words
from hub.ui.words import Text

_KEEP = "then CONFIG REWRITE, so that a restart keeps it"
_KEEP_ZH = "再执行 CONFIG REWRITE，使重启后仍有效"

REDIS_WORDS = {
    "redis_reachable": Words(
        Text("Redis or Valkey answers", "Redis 或 Valkey 可达"),
        Text("events and alarms wait on disk until it does", "在此之前事件与告警只能留在磁盘上等待"),
        Text("start it; redis.url in secrets.toml", "启动它；检查 secrets.toml 中的 redis.url"),
    ),
    "redis_append_only": Words(
        Text("every write goes to a file", "每次写入都落盘"),
        Text(
            "with pictures (RDB) only, all events since the last one are lost at a kill",
            "若只有 RDB 快照，被杀后上次快照以来的事件全部丢失",
        ),
        Text(f"CONFIG SET appendonly yes, {_KEEP}", f"CONFIG SET appendonly yes，{_KEEP_ZH}"),
    ),
    "redis_fsync": Words(
        Text("how late a write is on disk", "写入何时真正落盘"),
        Text("a power cut loses what was not: events that consumers may have seen, or not", "断电会丢失尚未落盘的事件"),
        Text(f"CONFIG SET appendfsync always, {_KEEP}", f"CONFIG SET appendfsync always，{_KEEP_ZH}"),
    ),
    "redis_writes": Words(
        Text("its last writes to disk", "最近的落盘结果"),
        Text(
            "a disk that is full or failing: what it still takes may be gone tomorrow",
            "磁盘已满或有故障：现在接收的数据可能不保",
        ),
        Text("look at its log and its disk", "查看其日志与磁盘"),
    ),
    "redis_eviction": Words(
        Text("what it does when memory is short", "内存不足时的策略"),
        Text("any other policy than noeviction throws streams away, silently", "除 noeviction 外都会悄悄丢弃流"),
        Text(f"CONFIG SET maxmemory-policy noeviction, {_KEEP}", f"CONFIG SET maxmemory-policy noeviction，{_KEEP_ZH}"),
    ),
    "redis_evicted": Words(
        Text("what it has thrown away", "已被逐出的键"),
        Text("events, alarms or the hub's cursor may have been among it", "其中可能有事件、告警或集线器的游标"),
        Text(
            "maxmemory-policy noeviction, more memory; hub events list reads older events from the store",
            "改为 noeviction 并增加内存；旧事件可用 hub events list 从时序库读取",
        ),
    ),
    "redis_memory": Words(
        Text("room in its memory", "内存余量"),
        Text(
            "when it is full it refuses events, and they wait on the hub's disk",
            "占满后拒收事件，事件留在集线器磁盘上等待",
        ),
        Text("a larger maxmemory, or consumers that keep up", "增大 maxmemory，或让消费者跟上"),
    ),
    "redis_cluster": Words(
        Text("one server, no cluster", "单机而非集群"),
        Text(
            "events and cursor travel in one transaction, which a cluster does not have",
            "事件与游标在同一事务中，集群不支持",
        ),
        Text("use one primary; more cells of hubs, not a cluster", "使用单个主节点；扩容靠更多集线器单元"),
    ),
    "redis_role": Words(
        Text("it is the primary", "是主节点"),
        Text("a replica takes no writes, or forgets them", "副本不接受写入，或会丢失写入"),
        Text("point redis.url at the primary", "让 redis.url 指向主节点"),
    ),
    "redis_file": Words(
        Text("its file says what it does", "配置文件与运行设置一致"),
        Text(
            "what was only CONFIG SET is undone at the next restart, and nobody notices",
            "仅用 CONFIG SET 的设置在重启后失效，且无人察觉",
        ),
        Text("CONFIG REWRITE, or write it into that file", "执行 CONFIG REWRITE，或写入该文件"),
    ),
    "redis_password": Words(
        Text("who may use it", "谁能访问"),
        Text(
            "without a password everybody who reaches it can delete or make up alarms",
            "没有密码时，能连上的人都可删除或伪造告警",
        ),
        Text("requirepass, and bind 127.0.0.1", "设置 requirepass，并 bind 127.0.0.1"),
    ),
    "redis_version": Words(
        Text("its version", "版本"),
        Text("before 6.2 nobody mends it any more", "6.2 之前已无人维护"),
        Text("Redis 7 of the distribution, or the wheel's Valkey", "使用发行版的 Redis 7 或自带的 Valkey"),
    ),
    "redis_clock": Words(
        Text("its clock and ours", "其时钟与本机时钟"),
        Text(
            "ids of entries and the age at which they are trimmed are its time", "流条目的编号与清理时间都以其时钟为准"
        ),
        Text(
            "let one source keep both clocks (chrony, systemd-timesyncd)",
            "两台机器使用同一时间源（chrony、systemd-timesyncd）",
        ),
    ),
}

SERIES_WORDS = {
    "series_reachable": Words(
        Text("the time series store answers", "时序库可达"),
        Text("points wait on disk until it does", "在此之前数据点留在磁盘上等待"),
        Text("start it; timeseries.url", "启动它；检查 timeseries.url"),
    ),
    "series_write": Words(
        Text("a point written, tried", "实测写入一个点"),
        Text(
            "a token that may not write, or a bucket that is not there, holds up every point",
            "令牌无写权限或桶不存在时，所有数据点都会滞留",
        ),
        Text(
            "timeseries.bucket and org; a token that may write to it, in secrets.toml",
            "检查 timeseries.bucket 与 org；在 secrets.toml 中配置有写权限的令牌",
        ),
    ),
    "series_read": Words(
        Text("that point read back, tried", "实测读回该点"),
        Text(
            "what cannot be read back may as well not be stored: hub telemetry and hub events list are blind",
            "读不回来等于没存：hub telemetry 与 hub events list 将失明",
        ),
        Text(
            "a token that may read too; for InfluxDB 2 see series_mapping",
            "令牌还需读权限；InfluxDB 2 见 series_mapping",
        ),
    ),
    "series_same": Words(
        Text("what comes back is what was written", "读回与写入一致"),
        Text("some stores turn text into 0: every status would be", "有些库会把文本变成 0：所有状态都会变成 0"),
        Text("use InfluxDB, or the local store", "使用 InfluxDB 或本地库"),
    ),
    "series_retention": Words(
        Text("how long it keeps points", "数据保留时间"),
        Text(
            "older points are refused, late ones and replays; a local file that keeps all fills its disk one day",
            "更旧的点会被拒收，包括迟到与回放；本地文件若永久保留，磁盘终将写满",
        ),
        Text(
            "a retention of the bucket above retention.age; timeseries.keep of a local file",
            "桶的保留时间应大于 retention.age；本地文件请设置 timeseries.keep",
        ),
    ),
    "series_mapping": Words(
        Text("InfluxQL finds the bucket", "InfluxQL 能找到桶"),
        Text(
            "InfluxDB 2 answers questions only through a DBRP mapping of the bucket's name",
            "InfluxDB 2 只有配置与桶同名的 DBRP 映射才能查询",
        ),
        Text(
            "influx v1 dbrp create --db BUCKET --rp autogen --bucket-id ID --default",
            "influx v1 dbrp create --db 桶名 --rp autogen --bucket-id 桶ID --default",
        ),
    ),
}
