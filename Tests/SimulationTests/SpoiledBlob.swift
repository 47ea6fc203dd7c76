// SpoiledBlob.swift
//
// Rot of everything that a drive has of one blob.

import RedStuff
import Simulator

extension SimulatedDisk {
  /// Flips a bit in the head of every record of the blob.
  func spoil(_ blob: BlobID) {
    for name in names where name.hasPrefix("segment-") {
      guard let content = contents(of: name) else { continue }
      for offset in content.indices where content[offset...].starts(with: blob.bytes) {
        rot(name, at: offset)
      }
    }
  }
}
