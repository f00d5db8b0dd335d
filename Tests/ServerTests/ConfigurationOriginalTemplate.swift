/// The configuration template of the original implementation: its keys and values as its documentation lists them.
let originalTemplate = """
    version: "3.0"

    server:
      address: "0.0.0.0"
      port: 50051
      mode: "server"
      timeout: "10s"
      nodeId: "5f8a1f34-9a4e-4a0f-8e57-3f1b2a7d9c10"

    joblet:
      defaultCpuLimit: 0
      defaultMemoryLimit: 0
      defaultIoLimit: 0
      maxConcurrentJobs: 0
      jobTimeout: "0s"
      cleanupTimeout: "100ms"

    cgroup:
      baseDir: "/sys/fs/cgroup/joblet.slice/joblet.service"
      namespaceMount: "/sys/fs/cgroup"
      enableControllers: ["cpu", "memory", "io", "pids", "cpuset", "devices"]
      cleanupTimeout: "250ms"

    filesystem:
      baseDir: "/opt/joblet/jobs"
      tmpDir: "/tmp/job-{JOB_ID}"
      workspaceDir: "/work"
      allowedMounts:
        - "/usr/bin"
        - "/bin"
        - "/usr/sbin"
        - "/lib"
        - "/lib64"
        - "/usr/lib"
        - "/usr/lib64"
        - "/etc/resolv.conf"
        - "/etc/hosts"
        - "/etc/nsswitch.conf"
        - "/etc/ssl"
        - "/etc/pki"
        - "/etc/ca-certificates"
        - "/usr/share/ca-certificates"
      blockDevices: false

    grpc:
      maxRecvMsgSize: 134217728
      maxSendMsgSize: 134217728
      maxHeaderListSize: 16777216
      keepAliveTime: "10s"
      keepAliveTimeout: "3s"
      maxConcurrentStreams: 1000
      connectionTimeout: "10s"
      maxConnectionIdle: "300s"
      maxConnectionAge: "1800s"
      maxConnectionAgeGrace: "30s"

    logging:
      level: "INFO"
      format: "text"
      output: "stdout"

    network:
      state_dir: "/opt/joblet/network"
      default_network: "bridge"
      allow_custom_networks: true
      max_custom_networks: 0
      storage:
        path: "/opt/joblet/network"
      networks:
        bridge:
          cidr: "172.20.0.0/16"
          bridge_name: "joblet0"

    monitoring:
      system_interval: "10s"
      cloud_detection: true

    buffers:
      pubsub_buffer_size: 10000
      chunk_size: 1048576

    volumes:
      base_path: "/opt/joblet/volumes"
      default_disk_quota_bytes: 1048576

    runtime:
      base_path: "/opt/joblet/runtimes"
      common_paths: ["/usr/local/bin", "/usr/local/lib", "/usr/lib/jvm", "/usr/local/node", "/usr/local/go"]

    gpu:
      cuda_paths: ["/usr/local/cuda", "/opt/cuda"]

    ipc:
      enabled: true
      socket: "/opt/joblet/run/persist-ipc.sock"
      buffer_size: 10000
      reconnect_delay: "5s"
      max_reconnects: 0

    state:
      backend: "memory"
      socket: "/opt/joblet/run/state-ipc.sock"
      buffer_size: 10000
      reconnect_delay: "5s"
      pool_size: 20
      storage:
        backend: "dynamodb"
        dynamodb:
          region: ""
          table_name: "joblet-jobs"
          ttl_enabled: true
          ttl_attribute: "expiresAt"
          ttl_days: 30
          read_capacity: 5
          write_capacity: 5
          batch_size: 25
          batch_interval: "100ms"

    persist:
      server:
        grpc_socket: "/opt/joblet/run/persist-grpc.sock"
        max_connections: 500
      ipc:
        socket: "/opt/joblet/run/persist-ipc.sock"
        max_connections: 10
        max_message_size: 134217728
        read_buffer: 8388608
        write_buffer: 8388608
      storage:
        type: "local"
        local:
          logs:
            directory: "/var/joblet/logs"
            format: "jsonl"
            rotation:
              max_size_mb: 100
              max_files: 10
              compress_rotated: true
          metrics:
            directory: "/opt/joblet/metrics"
            format: "jsonl.gz"
            rotation:
              max_size_mb: 50
              max_files: 5
              compress_rotated: true
        cloudwatch:
          region: ""
          log_group_prefix: "/joblet"
          log_stream_prefix: "job-"
          metric_namespace: "Joblet/Jobs"
          log_batch_size: 100
          metric_batch_size: 20
          log_retention_days: 7
        retention:
          logs_days: 7
          metrics_days: 30
          cleanup_schedule: "0 2 * * *"
        compression:
          enabled: true
          algorithm: "gzip"
          level: 6

    security:
      serverCert: |
        -----BEGIN CERTIFICATE-----
        MIIB
        -----END CERTIFICATE-----
      serverKey: |
        -----BEGIN PRIVATE KEY-----
        MIIE
        -----END PRIVATE KEY-----
      caCert: |
        -----BEGIN CERTIFICATE-----
        MIIC
        -----END CERTIFICATE-----

    """

/// The keys of the template that have no effect, in its order.
let originalTemplateWarnings = """
    server.mode server.timeout joblet.defaultIoLimit joblet.cleanupTimeout
    cgroup.namespaceMount cgroup.enableControllers
    filesystem.baseDir filesystem.tmpDir filesystem.blockDevices
    grpc.maxSendMsgSize grpc.maxHeaderListSize grpc.connectionTimeout
    grpc.maxConnectionAge grpc.maxConnectionAgeGrace logging.output
    network.state_dir network.default_network network.allow_custom_networks network.max_custom_networks
    network.storage.path network.networks.bridge.cidr network.networks.bridge.bridge_name
    monitoring.system_interval monitoring.cloud_detection buffers.pubsub_buffer_size buffers.chunk_size
    volumes.base_path volumes.default_disk_quota_bytes runtime.base_path runtime.common_paths gpu.cuda_paths
    ipc.socket ipc.buffer_size ipc.reconnect_delay ipc.max_reconnects
    state.backend state.buffer_size state.reconnect_delay state.pool_size
    state.storage.backend state.storage.dynamodb.ttl_attribute
    state.storage.dynamodb.read_capacity state.storage.dynamodb.write_capacity
    state.storage.dynamodb.batch_size state.storage.dynamodb.batch_interval
    persist.server.max_connections
    persist.ipc.max_connections persist.ipc.read_buffer persist.ipc.write_buffer
    persist.storage.local.logs.format
    persist.storage.local.logs.rotation.max_size_mb persist.storage.local.logs.rotation.max_files
    persist.storage.local.logs.rotation.compress_rotated
    persist.storage.local.metrics.format
    persist.storage.local.metrics.rotation.max_size_mb persist.storage.local.metrics.rotation.max_files
    persist.storage.local.metrics.rotation.compress_rotated
    persist.storage.cloudwatch.region persist.storage.cloudwatch.log_group_prefix
    persist.storage.cloudwatch.log_stream_prefix persist.storage.cloudwatch.metric_namespace
    persist.storage.cloudwatch.log_batch_size persist.storage.cloudwatch.metric_batch_size
    persist.storage.cloudwatch.log_retention_days
    persist.storage.retention.cleanup_schedule
    persist.storage.compression.enabled persist.storage.compression.algorithm persist.storage.compression.level
    """.split(whereSeparator: \.isWhitespace).map(String.init)
