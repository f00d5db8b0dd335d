import Storage

extension JobEngine {
    /// The planner with what this host offers.
    static func planner(
        _ configuration: EngineConfiguration, key: SecretKey, runDirectory: String
    ) throws(EngineError) -> SandboxPlanner {
        do {
            return SandboxPlanner(
                configuration: configuration, key: key, seccomp: try SeccompProfile.default.compiled(),
                etcDirectory: nil, mapsFileOwners: true)
        } catch {
            throw EngineError(.internal, "seccomp profile: \(error)")
        }
    }
}
