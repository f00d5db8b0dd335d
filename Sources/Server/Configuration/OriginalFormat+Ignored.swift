extension OriginalFormat {
    /// Keys of the original that nothing here corresponds to, with the reason. `*` stands for any one name.
    static let ignored: [(path: String, reason: String)] = groups.flatMap { group in
        group.keys.split(whereSeparator: \.isWhitespace).map { (group.prefix + $0, group.reason) }
    }

    private static let groups: [(prefix: String, keys: String, reason: String)] = [
        ("server.", "mode", "the daemon has one mode"),
        ("server.", "timeout", "it limits nothing in the original either; see grpc.*"),
        ("server.tls.", "enabled min_version cipher_suites", "TLS is always on; see security.minTLSVersion"),
        (
            "security.", "require_client_cert verify_client_cert enable_rbac default_role",
            "client certificates are always required and roles always checked"
        ),
        (
            "security.audit.", "enabled log_file log_successful_auth log_failed_auth log_job_operations",
            "there is no audit log in this version"
        ),

        ("joblet.", "defaultIoLimit", "I/O limits are not available in this version"),
        ("joblet.", "validateCommands allowedCommands", "commands are executed without a shell, as they are given"),
        ("joblet.", "preserveFailedJobs", "a job asks for it with keep_work"),
        ("joblet.isolation.", "service_based_routing production builder", "every job is isolated in the same way"),
        ("cgroup.", "namespaceMount accounting version", "the host's cgroup mounts are found by themselves"),
        ("cgroup.", "enableControllers", "the controllers that limits need are enabled by themselves"),
        ("filesystem.", "baseDir", "the files of jobs are below dataDir"),
        ("filesystem.", "tmpDir", "a job's /tmp is its own file system; see tmp.size"),
        ("filesystem.", "blockDevices", "jobs never see block devices"),
        ("filesystem.", "enable_chroot readonly_rootfs", "a job's root is always its own and read-only"),
        (
            "filesystem.workspace.", "default_quota cleanup_on_exit preserve_on_failure",
            "see work.memoryMax; a job that keeps its files asks for it with keep_work"
        ),
        (
            "process.", "default_user default_group allow_setuid namespaces",
            "jobs never run as a user of the host; see sandbox.*"
        ),

        ("grpc.", "maxSendMsgSize", "replies have no size limit of their own"),
        ("grpc.", "maxHeaderListSize connectionTimeout", "the transport fixes it"),
        (
            "grpc.", "maxConnectionAge maxConnectionAgeGrace",
            "the original never applied it, and applied it ends the log streams that are being followed"
        ),
        ("logging.", "output outputs components", "the daemon's log has one destination, its console or journal"),

        (
            "network.", "default_network",
            "the original never applied it, and bridge is not available in this version; see network.defaultNetwork"
        ),
        (
            "network.",
            "state_dir enabled allow_custom_networks max_custom_networks storage.path start_offset end_reserve",
            "networks other than none and host are not available in this version"
        ),
        (
            "network.networks.*.", "cidr bridge_name enable_nat enable_icc type",
            "networks other than none and host are not available in this version"
        ),
        (
            "network.",
            "dns.servers dns.search dns.options traffic_control.enabled traffic_control.default_ingress "
                + "traffic_control.default_egress",
            "networks other than none and host are not available in this version"
        ),
        (
            "monitoring.", "enabled system_interval cloud_detection bind_address collection metrics",
            "host monitoring is not available in this version"
        ),
        (
            "job_metrics.", "enabled default_sample_rate storage_dir retention_days",
            "job metrics are always on; see metrics.interval and storage.metrics"
        ),
        ("buffers.", "pubsub_buffer_size chunk_size", "output is not buffered in the daemon; see outbox.*"),
        ("volumes.", "base_path default_disk_quota_bytes", "volumes are not available in this version"),
        (
            "volume.",
            "enabled state_dir max_volumes max_size default_size filesystem memory auto_cleanup cleanup_interval",
            "volumes are not available in this version"
        ),
        (
            "runtime.", "base_path common_paths enabled isolation installation security",
            "runtimes are not available in this version"
        ),
        ("gpu.", "enabled cuda_paths allocation_strategy", "GPUs are not available in this version"),

        (
            "ipc.", "socket buffer_size reconnect_delay max_reconnects",
            "output reaches the store through the outbox; see outbox.* and storage.workers"
        ),
        (
            "state.", "buffer_size reconnect_delay pool_size",
            "the connection to the worker is made again by itself; see storage.workers"
        ),
        (
            "state.storage.", "backend redis.endpoint redis.password redis.db redis.ttl_days",
            "the original has no such store either; see storage.state"
        ),
        (
            "state.storage.dynamodb.", "ttl_attribute read_capacity write_capacity batch_size batch_interval",
            "it is fixed: the attribute is expiresAt, tables are paid by request"
        ),
        (
            "persist.server.",
            "max_connections tls.cert_file tls.key_file tls.ca_file tls.client_auth",
            "it has the certificates of the daemon and its grpc.maxConcurrentStreams; see security.*"
        ),
        ("persist.", "tls", "it has the certificates of the daemon; see storage.query.tls"),
        (
            "persist.ipc.", "max_connections read_buffer write_buffer",
            "it is fixed; see storage.workers"
        ),
        ("persist.storage.local.metrics.", "format", "samples are JSON lines in gzip files"),
        ("persist.storage.local.logs.", "format", "logs are plain text in gzip files"),
        (
            "persist.storage.local.",
            "logs.rotation.max_size_mb logs.rotation.max_files logs.rotation.compress_rotated "
                + "metrics.rotation.max_size_mb metrics.rotation.max_files metrics.rotation.compress_rotated",
            "stored files are not rotated"
        ),
        (
            "persist.storage.cloudwatch.",
            "region log_group_prefix log_stream_prefix metric_namespace "
                + "metric_dimensions log_batch_size metric_batch_size log_retention_days",
            "CloudWatch is no backend here; logs are stored as storage.logs.backend says"
        ),
        (
            "persist.storage.cloud.cloudwatch.", "log_group",
            "CloudWatch is no backend here; logs are stored as storage.logs.backend says"
        ),
        (
            "persist.storage.retention.", "cleanup_schedule",
            "the time between two cleanups is storage.logs.retention.cleanupInterval"
        ),
        (
            "persist.storage.retention.", "archive_before_delete",
            "an archive needs a place; see storage.logs.retention.archiveDirectory"
        ),
        (
            "persist.storage.compression.", "enabled algorithm level compress_extensions",
            "logs are always compressed with gzip"
        ),
    ]
}
