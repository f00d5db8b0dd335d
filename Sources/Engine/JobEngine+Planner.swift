import Kernel
import Logging
import Sandbox
import Storage

extension JobEngine {
    /// Removes what no job uses: mounts of kept work directories, and copies of `/etc` that the host's no longer equals.
    func removeUnused() async {
        let running = Set(hot.filter { !$0.value.job.record.status.isTerminal }.keys)
        if running.isEmpty {
            do throws(SystemCallError) {
                try planner.etc.removeOthers()
            } catch {
                logger.warning("old copies of /etc remain", metadata: ["error": "\(error)"])
            }
        }
        await workDirectories.closeAll(except: running)
    }

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
            let files = HostFiles.plan(configuration.allowedMounts, etcDirectory: etc.path)
            let host = HostCapabilities.probe(binds: files.binds.map(\.source))
            return SandboxPlanner(
                configuration: configuration, key: key, seccomp: seccomp, etc: etc, hostFiles: files,
                idmappable: host.idmappable)
        } catch {
            throw EngineError(.internal, "prepared /etc: \(error)")
        }
    }
}
