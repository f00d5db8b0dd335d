import Kernel
import Logging
import Storage

extension JobEngine {
    /// The planner with what this host offers.
    static func planner(
        _ configuration: EngineConfiguration, key: SecretKey, runDirectory: String, logger: Logger
    ) throws(EngineError) -> SandboxPlanner {
        let seccomp: [UInt8]
        do throws(SeccompProfile.CompilationError) {
            seccomp = try SeccompProfile.default.compiled()
        } catch {
            throw EngineError(.internal, "seccomp profile: \(error)")
        }
        do throws(SystemCallError) {
            let etc = try PreparedEtc.prepare(in: runDirectory, allowedMounts: configuration.allowedMounts)
            for omission in etc.omissions {
                logger.warning(
                    "a configured file is not shown to jobs",
                    metadata: ["path": "\(omission.path)", "reason": "\(omission.reason)"])
            }
            return SandboxPlanner(
                configuration: configuration, key: key, seccomp: seccomp, etcDirectory: etc.path,
                mapsFileOwners: true)
        } catch {
            throw EngineError(.internal, "prepared /etc: \(error)")
        }
    }
}
