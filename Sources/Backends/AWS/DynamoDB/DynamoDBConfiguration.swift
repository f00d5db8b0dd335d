/// Which table job records are kept in.
package struct DynamoDBConfiguration: Sendable {
    /// The table's name.
    package var table: String
    /// How the service is reached.
    package var aws: AWSConfiguration
    /// Whether a missing table is made, billed by request.
    package var createsTable: Bool
    /// Seconds after its end at which the record of an ended job expires; nil for never.
    package var timeToLive: Int64?

    /// A table with the given name.
    package init(
        table: String, aws: AWSConfiguration = AWSConfiguration(), createsTable: Bool = false, timeToLive: Int64? = nil
    ) {
        self.table = table
        self.aws = aws
        self.createsTable = createsTable
        self.timeToLive = timeToLive
    }
}
