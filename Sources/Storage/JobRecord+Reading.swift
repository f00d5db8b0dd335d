extension JobRecord {
    /// The record that `json` spells, as `json` or `Codable` wrote it; unknown names are passed over.
    ///
    /// Read by hand, as a general decoder takes five times as long. Throws where a name is missing that every record has.
    public init(json: [UInt8]) throws(MalformedJSON) {
        self = try JSONScanner.read(json[...]) { (scanner) throws(MalformedJSON) in try scanner.record() }
    }
}

extension JSONScanner {
    fileprivate mutating func record() throws(MalformedJSON) -> JobRecord {
        var (id, version, node, status): (JobID?, UInt64?, NodeIdentity?, JobStatus?)
        var (specification, createdAt): (JobSpecification?, Int64?)
        var (reason, exitCode, signal, pid): (String?, Int32?, Int32?, Int32?)
        var (lease, startedAt, endedAt): (JobLease?, Int64?, Int64?)
        try members { (scanner, name) throws(MalformedJSON) in
            switch name {
            case "createdAt": createdAt = try scanner.integer()
            case "endedAt": endedAt = try scanner.integer()
            case "exitCode": exitCode = try scanner.integer()
            case "id": id = JobID(try scanner.text())
            case "lease": lease = try scanner.lease()
            case "node": node = try scanner.node()
            case "pid": pid = try scanner.integer()
            case "reason": reason = try scanner.text()
            case "signal": signal = try scanner.integer()
            case "specification": specification = try scanner.specification()
            case "startedAt": startedAt = try scanner.integer()
            case "status": status = JobStatus(rawValue: try scanner.text())
            case "version": version = try scanner.integer()
            default: try scanner.skip()
            }
        }
        guard let id, let version, let node, let status, let specification, let createdAt, let reason, let exitCode,
            let signal, let pid
        else { throw MalformedJSON() }
        var record = JobRecord(id: id, node: node, specification: specification, createdAt: createdAt)
        record.version = version
        record.status = status
        record.reason = reason
        record.exitCode = exitCode
        record.signal = signal
        record.pid = pid
        record.lease = lease
        record.startedAt = startedAt
        record.endedAt = endedAt
        return record
    }

    private mutating func lease() throws(MalformedJSON) -> JobLease {
        var (bootID, idRange, startToken): (String?, UInt32?, UInt64?)
        try members { (scanner, name) throws(MalformedJSON) in
            switch name {
            case "bootID": bootID = try scanner.text()
            case "idRange": idRange = try scanner.integer()
            case "startToken": startToken = try scanner.integer()
            default: try scanner.skip()
            }
        }
        guard let bootID, let startToken else { throw MalformedJSON() }
        return JobLease(startToken: startToken, idRange: idRange, bootID: bootID)
    }

    private mutating func node() throws(MalformedJSON) -> NodeIdentity {
        var (id, incarnation): (String?, String?)
        try members { (scanner, name) throws(MalformedJSON) in
            switch name {
            case "id": id = try scanner.text()
            case "incarnation": incarnation = try scanner.text()
            default: try scanner.skip()
            }
        }
        guard let id, let incarnation else { throw MalformedJSON() }
        return NodeIdentity(id: id, incarnation: incarnation)
    }

    private mutating func specification() throws(MalformedJSON) -> JobSpecification {
        var specification = JobSpecification(command: "")
        // Every member but the deadline is there.
        var missing = 14
        try members { (scanner, name) throws(MalformedJSON) in
            missing -= 1
            switch name {
            case "arguments": specification.arguments = try scanner.array()
            case "command": specification.command = try scanner.text()
            case "durability": specification.durability = try scanner.choice()
            case "environment": specification.environment = try scanner.texts()
            case "keepsWork": specification.keepsWork = try scanner.flag()
            case "labels": specification.labels = try scanner.texts()
            case "limits": specification.limits = try scanner.limits()
            case "name": specification.name = try scanner.text()
            case "network": specification.network = try scanner.text()
            case "outputPolicy": specification.outputPolicy = try scanner.choice()
            case "secretEnvironment": specification.secretEnvironment = try scanner.secrets()
            case "uploads": specification.uploads = try scanner.array()
            case "usesInit": specification.usesInit = try scanner.flag()
            case "workDirectory": specification.workDirectory = try scanner.text()
            case "timeout":
                specification.timeout = try scanner.integer()
                missing += 1
            default:
                try scanner.skip()
                missing += 1
            }
        }
        guard missing == 0 else { throw MalformedJSON() }
        return specification
    }

    private mutating func limits() throws(MalformedJSON) -> JobLimits {
        var limits = JobLimits()
        try members { (scanner, name) throws(MalformedJSON) in
            switch name {
            case "cpuPercent": limits.cpuPercent = try scanner.integer()
            case "memoryBytes": limits.memoryBytes = try scanner.integer()
            case "processes": limits.processes = try scanner.integer()
            default: try scanner.skip()
            }
        }
        return limits
    }

    private mutating func secrets() throws(MalformedJSON) -> [String: SealedValue] {
        var secrets: [String: SealedValue] = [:]
        try members { (scanner, name) throws(MalformedJSON) in
            guard let base64 = try scanner.texts()["base64"] else { throw MalformedJSON() }
            secrets[name] = SealedValue(base64: base64)
        }
        return secrets
    }

    private mutating func array() throws(MalformedJSON) -> [String] {
        var texts: [String] = []
        try elements { (scanner) throws(MalformedJSON) in texts.append(try scanner.text()) }
        return texts
    }

    private mutating func choice<Choice: RawRepresentable<String>>() throws(MalformedJSON) -> Choice {
        guard let choice = Choice(rawValue: try text()) else { throw MalformedJSON() }
        return choice
    }
}
