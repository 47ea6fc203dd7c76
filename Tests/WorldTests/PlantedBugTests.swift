// PlantedBugTests.swift
//
// That planted bugs can be told apart, and that only a build made for them has any.

import Testing
import World

@Suite struct PlantedBugTests {
  @Test func `every planted bug has a name of its own`() {
    #expect(Set(PlantedBug.allCases.map(\.rawValue)).count == PlantedBug.allCases.count)
    #expect(PlantedBug.allCases.allSatisfy { PlantedBug(rawValue: $0.rawValue) == $0 })
  }

  #if PLANTED_BUGS
    @Test func `only the chosen bug is planted`() {
      for bug in PlantedBug.allCases {
        #expect(PlantedBug.choose(bug))
        #expect(PlantedBug.allCases.filter(\.isPlanted) == [bug])
      }
      #expect(PlantedBug.choose(nil))
      #expect(PlantedBug.allCases.filter(\.isPlanted).isEmpty)
    }
  #else
    @Test func `an ordinary build has no bug planted`() {
      for bug in PlantedBug.allCases {
        #expect(!PlantedBug.choose(bug))
        #expect(!bug.isPlanted)
      }
      #expect(PlantedBug.choose(nil))
    }
  #endif
}
