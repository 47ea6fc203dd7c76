// RecoverySymbols.swift
//
// Single symbols on their way to a node that rebuilds a sliver, and the evidence that a blob was
// encoded badly. Serialised forms only; `SliverRecovery.swift` makes, checks and uses them.
//
// "Target" is the sliver to be rebuilt; "source" the sliver of the other axis that crosses it and
// from which the symbol was taken. Paths belong to the tree of the source sliver.
//
// | type                    | bytes                                                              |
// |-------------------------|--------------------------------------------------------------------|
// | decoding symbol         | source index u16, LEB128 length, symbol bytes                      |
// | recovery symbol         | decoding symbol, proof                                             |
// | general recovery symbol | target axis 1, decoding symbol, target index u16, proof            |
// | recovery symbol pair    | recovery symbol for the primary, then one for the secondary target |
// | inconsistency proof     | target axis 1, target index u16, LEB128 count, recovery symbols    |
// | `AxisTagged`            | target axis 1, then the value                                      |

/// A symbol and the index of the sliver that it was taken from.
package struct DecodingSymbol: Hashable, Sendable {
  package let sourceIndex: SliverIndex
  package let bytes: [UInt8]

  package init(sourceIndex: SliverIndex, bytes: [UInt8]) {
    self.sourceIndex = sourceIndex
    self.bytes = bytes
  }
}

/// A symbol with its path to the root of the sliver that it was taken from.
package struct RecoverySymbol: Hashable, Sendable {
  package let symbol: DecodingSymbol
  package let proof: MerkleProof

  package init(symbol: DecodingSymbol, proof: MerkleProof) {
    self.symbol = symbol
    self.proof = proof
  }
}

/// A recovery symbol that says itself what it is for: the form that nodes exchange.
package struct GeneralRecoverySymbol: Hashable, Sendable {
  package let targetAxis: SliverAxis
  package let symbol: DecodingSymbol
  package let targetIndex: SliverIndex
  package let proof: MerkleProof

  package init(
    targetAxis: SliverAxis, symbol: DecodingSymbol, targetIndex: SliverIndex, proof: MerkleProof
  ) {
    self.targetAxis = targetAxis
    self.symbol = symbol
    self.targetIndex = targetIndex
    self.proof = proof
  }
}

/// One symbol for each sliver of a lost pair.
package struct RecoverySymbolPair: Hashable, Sendable {
  package let primary: RecoverySymbol
  package let secondary: RecoverySymbol

  package init(primary: RecoverySymbol, secondary: RecoverySymbol) {
    self.primary = primary
    self.secondary = secondary
  }
}

/// Exactly the symbols from which a sliver decodes that does not match its hash in the metadata.
package struct InconsistencyProof: Hashable, Sendable {
  package let targetAxis: SliverAxis
  package let targetIndex: SliverIndex
  package let symbols: [RecoverySymbol]

  package init(targetAxis: SliverAxis, targetIndex: SliverIndex, symbols: [RecoverySymbol]) {
    self.targetAxis = targetAxis
    self.targetIndex = targetIndex
    self.symbols = symbols
  }
}

/// A value together with the axis of its target sliver.
package struct AxisTagged<Value> {
  package let targetAxis: SliverAxis
  package let value: Value

  package init(_ value: Value, targetAxis: SliverAxis) {
    self.targetAxis = targetAxis
    self.value = value
  }
}

extension AxisTagged: Equatable where Value: Equatable {}
extension AxisTagged: Hashable where Value: Hashable {}
extension AxisTagged: Sendable where Value: Sendable {}

extension AxisTagged: BCSCodable where Value: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    targetAxis = try reader.read()
    value = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(targetAxis)
    writer.write(value)
  }
}

extension DecodingSymbol: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    sourceIndex = try reader.read()
    bytes = try reader.readBytes(countMax: Int(UInt16.max))
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(sourceIndex)
    writer.writeBytes(bytes)
  }
}

extension RecoverySymbol: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    symbol = try reader.read()
    proof = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(symbol)
    writer.write(proof)
  }
}

extension GeneralRecoverySymbol: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    targetAxis = try reader.read()
    symbol = try reader.read()
    targetIndex = try reader.read()
    proof = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(targetAxis)
    writer.write(symbol)
    writer.write(targetIndex)
    writer.write(proof)
  }
}

extension RecoverySymbolPair: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    primary = try reader.read()
    secondary = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(primary)
    writer.write(secondary)
  }
}

extension InconsistencyProof: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    targetAxis = try reader.read()
    targetIndex = try reader.read()
    symbols = try reader.readArray(countMax: Int(UInt16.max))
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(targetAxis)
    writer.write(targetIndex)
    writer.write(symbols)
  }
}
