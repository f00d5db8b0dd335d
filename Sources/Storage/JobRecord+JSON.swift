extension JobRecord {
    /// The record as JSON that `Codable` reads: names sorted and what is nil left out, so that the same record always
    /// gives the same bytes.
    ///
    /// Written out, as a general encoder takes twenty times longer and a record is written at each step of its job.
    public var json: [UInt8] {
        var json = JSONText()
        json.object { json in
            json.member("createdAt", createdAt)
            json.member("endedAt", endedAt)
            json.member("exitCode", exitCode)
            json.member("id", id.description)
            if let lease {
                json.member("lease") { json in
                    json.member("bootID", lease.bootID)
                    json.member("idRange", lease.idRange)
                    json.member("startToken", lease.startToken)
                }
            }
            json.member("node") { json in
                json.member("id", node.id)
                json.member("incarnation", node.incarnation)
            }
            json.member("pid", pid)
            json.member("reason", reason)
            json.member("signal", signal)
            json.member("specification") { specification.append(to: &$0) }
            json.member("startedAt", startedAt)
            json.member("status", status.rawValue)
            json.member("version", version)
        }
        return json.bytes
    }
}

extension JobSpecification {
    fileprivate func append(to json: inout JSONText) {
        json.member("arguments", arguments)
        json.member("command", command)
        json.member("durability", durability.rawValue)
        json.member("environment", environment)
        json.member("keepsWork", keepsWork)
        json.member("labels", labels)
        json.member("limits") { json in
            json.member("cpuPercent", limits.cpuPercent)
            json.member("memoryBytes", limits.memoryBytes)
            json.member("processes", limits.processes)
        }
        json.member("name", name)
        json.member("network", network)
        json.member("outputPolicy", outputPolicy.rawValue)
        json.member("secretEnvironment") { json in
            for (name, value) in secretEnvironment.sorted(by: { $0.key < $1.key }) {
                json.member(name) { $0.member("base64", value.base64) }
            }
        }
        json.member("timeout", timeout)
        json.member("uploads", uploads)
        json.member("usesInit", usesInit)
        json.member("workDirectory", workDirectory)
    }
}
