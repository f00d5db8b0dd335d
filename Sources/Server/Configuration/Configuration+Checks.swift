import JobletSecurity

extension Configuration {
    /// A rule between keys that is broken.
    struct Conflict {
        /// The key that is most likely to be changed.
        let key: String
        let message: String
    }

    /// What each value allows and all values together do not.
    ///
    /// - Parameter cores: processors of this host, the most that a job can use; nil if that was checked already.
    func conflicts(cores: Int?) -> [Conflict] {
        var found: [Conflict] = []
        func require(_ holds: Bool, _ key: String, _ message: @autoclosure () -> String) {
            if !holds { found.append(Conflict(key: key, message: message())) }
        }

        let inFile = [security.serverCertificate, security.serverKey?.text, security.authority].compactMap { $0 }
        require(
            inFile.isEmpty || inFile.count == 3, "security",
            "serverCert, serverKey and caCert belong together: give all three, or none and use certDir")
        require(
            inFile.isEmpty || security.certificateDirectory == nil, "security.certDir",
            "the certificates are in the file already; give serverCert, serverKey and caCert, or certDir")

        if let cores {
            require(
                joblet.defaultCPULimit <= 100 * cores, "joblet.defaultCpuLimit",
                "expected 0 to \(100 * cores), 100 for each core of this host, not \(joblet.defaultCPULimit)")
        }
        require(
            joblet.maxConcurrentJobs <= sandbox.idRange.count, "joblet.maxConcurrentJobs",
            "\(joblet.maxConcurrentJobs) is more than sandbox.idRange.count (\(sandbox.idRange.count)); "
                + "each job needs an id range")
        let end = sandbox.idRange.first + sandbox.idRange.count * IDRange.idsPerJob
        require(
            end <= Int(UInt32.max), "sandbox.idRange",
            "first + 65536 × count is \(end), above the largest user id (4294967294)")

        require(
            outbox.segmentBytes <= outbox.maxJobBytes, "outbox.segmentBytes",
            "\(ByteSize.show(outbox.segmentBytes)) is more than outbox.maxJobBytes "
                + "(\(ByteSize.show(outbox.maxJobBytes)))")
        require(
            outbox.maxJobBytes + outbox.reserveBytes <= outbox.maxNodeBytes, "outbox.maxNodeBytes",
            "\(ByteSize.show(outbox.maxNodeBytes)) is less than outbox.maxJobBytes and outbox.reserveBytes together "
                + "(\(ByteSize.show(outbox.maxJobBytes + outbox.reserveBytes)))")
        found += directoryConflicts()
        found += storageConflicts()
        return found
    }

    private func directoryConflicts() -> [Conflict] {
        var found: [Conflict] = []
        for (key, path) in [("dataDir", dataDirectory), ("runDir", runDirectory)] where path == "/" {
            found.append(Conflict(key: key, message: "must not be /"))
        }
        if runDirectory.utf8.count > 80 {
            let message = "longer than 80 bytes; the path of a socket in it must not exceed 107"
            found.append(Conflict(key: "runDir", message: message))
        }
        let stores = [
            ("storage.logs.directory", logDirectory), ("storage.metrics.directory", metricDirectory),
            ("storage.state.path", stateDatabase),
        ]
        for (key, path) in stores
        where AbsolutePath.isWithin(path, outboxDirectory) || AbsolutePath.isWithin(outboxDirectory, path) {
            found.append(Conflict(key: key, message: "\(path) and the outbox (\(outboxDirectory)) must be apart"))
        }
        for mount in filesystem.allowedMounts {
            if let reason = refusal(ofMount: mount) {
                found.append(Conflict(key: "filesystem.allowedMounts", message: "\(mount) \(reason)"))
            }
        }
        let system = ["/proc", "/sys", "/dev", "/tmp"] + filesystem.allowedMounts
        let workspace = filesystem.workspaceDirectory
        if let taken = system.first(where: {
            AbsolutePath.isWithin(workspace, $0) || AbsolutePath.isWithin($0, workspace)
        }) {
            let message = "\(workspace) is taken: the job has \(taken) there"
            found.append(Conflict(key: "filesystem.workspaceDir", message: message))
        }
        return found
    }

    /// Mounts that are allowed and show more than they are meant to: private keys of the host's services.
    var exposures: [Conflict] {
        filesystem.allowedMounts.flatMap { mount in
            ["/etc/ssl/private", "/etc/pki/tls/private"].filter { AbsolutePath.isWithin($0, mount) }.map {
                Conflict(key: "filesystem.allowedMounts", message: "\(mount) shows the keys in \($0) to every job")
            }
        }
    }

    /// Why a host path cannot be shown to jobs, nil if it can.
    private func refusal(ofMount mount: String) -> String? {
        if let own = ["/proc", "/sys", "/dev", "/tmp"].first(where: { AbsolutePath.isWithin(mount, $0) }) {
            return "cannot be the host's: a job has its own \(own)"
        }
        // Jobs see files of the host's root as their own root's: nothing but the mount list keeps them apart.
        let own = [
            dataDirectory, runDirectory, certificateDirectory, outboxDirectory, logDirectory, metricDirectory,
            stateDatabase,
        ]
        let archives = [storage.logs.retention.archiveDirectory, storage.metrics.retention.archiveDirectory]
        let secret = (own + archives.compactMap(\.self) + ["/etc/shadow", "/root"]).first {
            AbsolutePath.isWithin(mount, $0) || AbsolutePath.isWithin($0, mount)
        }
        return secret.map { "would show \($0) to every job" }
    }
}
