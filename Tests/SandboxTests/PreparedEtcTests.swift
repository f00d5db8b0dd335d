import Engine
import Foundation
import Glibc
import Kernel
import Sandbox
import TestSupport
import Testing

/// The prepared `/etc`, from sources that mean harm.
@Suite(.enabled(if: Host.isRoot, "needs root"))
struct PreparedEtcTests {
    /// A made-up host: its `/etc`, and a directory for the result.
    private final class Fixture {
        let host: TemporaryDirectory
        let result: TemporaryDirectory

        init() throws {
            host = try TemporaryDirectory()
            chmod(host.path, 0o755)
            result = try TemporaryDirectory()
        }

        func file(_ name: String, _ text: String, mode: mode_t = 0o644) throws {
            let path = "\(host.path)/\(name)"
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try text.write(toFile: path, atomically: false, encoding: .utf8)
            chmod(path, mode)
        }

        func link(_ name: String, to destination: String) throws {
            let path = "\(host.path)/\(name)"
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: destination)
        }

        func prepare(_ mounts: String...) throws -> PreparedEtc {
            try PreparedEtc.prepare(in: result.path, allowedMounts: mounts + ["/usr"], from: host.path)
        }
    }

    private func contents(_ etc: PreparedEtc, _ name: String) -> String? {
        try? String(contentsOfFile: "\(etc.path)/\(name)", encoding: .utf8)
    }

    @Test func `standard files, configured ones and our own accounts are in it`() throws {
        let fixture = try Fixture()
        try fixture.file("services", "http 80/tcp\n")
        try fixture.file("passwd", "victim:x:1:1::/:/bin/sh\n")
        try fixture.file("app/config", "yes\n", mode: 0o664)
        try fixture.file("other", "no\n")
        try fixture.link("localtime", to: "/usr/share/zoneinfo/UTC")
        let etc = try fixture.prepare("/etc/app")
        #expect(contents(etc, "services") == "http 80/tcp\n")
        #expect(contents(etc, "app/config") == "yes\n")
        #expect(contents(etc, "passwd")?.hasPrefix("root:x:0:0:") == true)
        #expect(contents(etc, "passwd")?.contains("victim") == false)
        #expect(contents(etc, "group")?.contains("tty:x:5:") == true)
        #expect(contents(etc, "hosts")?.hasPrefix("127.0.0.1 localhost\n") == true)
        #expect(!Directory.exists("\(etc.path)/other"))
        #expect(
            try FileManager.default.destinationOfSymbolicLink(atPath: "\(etc.path)/localtime")
                == "/usr/share/zoneinfo/UTC")
        #expect(etc.omissions.isEmpty)
        var status = stat()
        #expect(stat("\(etc.path)/app/config", &status) == 0 && status.st_mode & 0o777 == 0o644)
        #expect(stat(etc.path, &status) == 0 && status.st_mode & 0o777 == 0o755)
    }

    @Test(arguments: [
        ("shadow", "never shown to jobs"), ("ssl/private", "never shown to jobs"), ("ssh", "never shown to jobs"),
        ("secret", "not readable by every user of the host"), ("closed", "not readable by every user of the host"),
        ("app/key", "holds a private key"), ("missing", "not on this host"), ("passwd", "jobs have their own"),
        ("queue", "neither a file, a directory nor a link"), ("through/file", "behind a symbolic link"),
    ]) func `what must not be seen is left out, and said so`(_ name: String, _ reason: String) throws {
        let fixture = try Fixture()
        for name in ["shadow", "passwd"] { try fixture.file(name, "root:*::\n") }
        for name in ["ssl/private/k", "ssh/k", "closed/k", "app/x"] { try fixture.file(name, "k\n") }
        chmod("\(fixture.host.path)/closed", 0o750)
        try fixture.file("secret", "s\n", mode: 0o640)
        try fixture.file("app/key", "-----BEGIN RSA PRIVATE KEY-----\nabc\n")
        mkfifo("\(fixture.host.path)/queue", 0o644)
        try fixture.link("through", to: "app")
        let etc = try fixture.prepare("/etc/\(name)")
        #expect(etc.omissions.map(\.path) == ["/etc/\(name)"])
        #expect(etc.omissions.map(\.reason) == [reason])
        if name != "passwd" { #expect(!Directory.exists("\(etc.path)/\(name)")) }
    }

    @Test func `all of etc may be asked for, and holds no secrets`() throws {
        let fixture = try Fixture()
        try fixture.file("shadow", "root:*::\n")
        try fixture.file("motd", "hello\n")
        try fixture.file("deep/private.pem", "-----BEGIN PRIVATE KEY-----\n")
        try fixture.file("deep/public.pem", "-----BEGIN CERTIFICATE-----\n")
        try fixture.link("deep/shadow", to: "/etc/shadow")
        try fixture.link("deep/out", to: "/root/secret")
        try fixture.link("deep/up", to: "../../../../root/secret")
        try fixture.link("deep/loop", to: "loop")
        let etc = try fixture.prepare("/etc")
        #expect(contents(etc, "motd") == "hello\n")
        #expect(contents(etc, "deep/public.pem") != nil)
        for name in ["shadow", "deep/private.pem", "deep/out", "deep/up"] {
            #expect(!Directory.exists("\(etc.path)/\(name)"), "\(name)")
        }
        // A link below /etc is kept as a link and never followed: in a job it leads nowhere.
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "\(etc.path)/deep/shadow") == "/etc/shadow")
    }

    @Test func `a configured link out of etc is copied, unless it leads to a secret`() throws {
        let fixture = try Fixture()
        let outside = try TemporaryDirectory()
        try "nameserver 10.0.0.1\n".write(toFile: "\(outside.path)/resolv", atomically: false, encoding: .utf8)
        try "secret\n".write(toFile: "\(outside.path)/secret", atomically: false, encoding: .utf8)
        chmod("\(outside.path)/resolv", 0o644)
        chmod("\(outside.path)/secret", 0o600)
        try fixture.link("resolv.conf", to: "\(outside.path)/resolv")
        try fixture.link("stolen", to: "\(outside.path)/secret")
        try fixture.link("device", to: "/dev/zero")
        let etc = try fixture.prepare("/etc/stolen", "/etc/device", "/etc/resolv.conf")
        #expect(contents(etc, "resolv.conf") == "nameserver 10.0.0.1\n")
        var status = stat()
        #expect(lstat("\(etc.path)/resolv.conf", &status) == 0 && status.st_mode & S_IFMT == S_IFREG)
        #expect(
            etc.omissions.map(\.reason) == [
                "not readable by every user of the host", "leads to something that is no file",
            ])
    }

    @Test func `a version is kept while nothing changes and replaced as a whole`() throws {
        let fixture = try Fixture()
        try fixture.file("services", "one\n")
        let first = try fixture.prepare()
        #expect(try fixture.prepare() == first)
        try fixture.file("services", "two\n")
        let second = try fixture.prepare()
        #expect(second.path != first.path)
        // Jobs have the first mounted.
        #expect(contents(first, "services") == "one\n")
        #expect(contents(second, "services") == "two\n")
        try second.removeOthers()
        #expect(try Directory.names(in: fixture.result.path).count == 1)
        #expect(contents(second, "services") == "two\n")
    }

    @Test func `every user of a job can use it`() throws {
        let shim = try ShimProcess()
        let directory = try TemporaryDirectory(in: "/run", name: "joblet-etc")
        let etc = try PreparedEtc.prepare(in: directory.path, allowedMounts: ["/usr", "/etc/ssl"])
        let program = """
            import os, pwd, grp, socket, ssl
            os.setuid(65534)
            print(pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(5).gr_name, socket.gethostbyname('localhost'))
            print(os.path.exists('/etc/shadow'), os.path.exists('/etc/ssl/private'))
            known = ssl.create_default_context().cert_store_stats()['x509_ca']
            print(known > 0 or not os.path.exists('/etc/ssl/certs'))
            print(socket.getservbyname('http') if os.path.exists('/etc/services') else 80)
            """
        let result = try shim.runSecured(["/usr/bin/python3", "-c", program]) { plan in
            plan.binds = [.init(source: "/usr", target: "/usr"), .init(source: etc.path, target: "/etc")]
        }
        #expect(result.stdout == "nobody tty 127.0.0.1\nFalse False\nTrue\n80\n", "\(result.stderr)")
    }
}
