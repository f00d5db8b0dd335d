import YAML

/// One key of the configuration file: its path, what is allowed, and the property that it sets.
struct ConfigurationKey: Sendable {
    /// The path from the top of the file, parts joined by dots: `server.port`.
    let path: String
    /// What is allowed, as the end of "expected …".
    let allowed: String
    /// Reads a value into the property of a configuration.
    let read: @Sendable (Node, inout Configuration) throws(ValueError) -> Void
    /// The property's value as a file would say it.
    let show: @Sendable (Configuration) -> String

    init<Value: Sendable>(
        _ path: String, _ property: any WritableKeyPath<Configuration, Value> & Sendable,
        _ format: ValueFormat<Value>
    ) {
        self.path = path
        allowed = format.allowed
        read = { (node: Node, configuration: inout Configuration) throws(ValueError) in
            configuration[keyPath: property] = try format.read(node)
        }
        show = { format.show($0[keyPath: property]) }
    }
}
