// CTripwires.h
//
// Shows whether code that should live in a simulated world reaches for the real one: this library
// defines pthread_create, clock_gettime and syscall (through which Swift draws random numbers)
// itself, counts calls while armed, and hands them on. For the simulation executable only.

#ifndef CTRIPWIRES_H
#define CTRIPWIRES_H

/// Which calls were made while armed.
struct tripwire_counts {
  unsigned long threads;
  unsigned long clock_reads;
  unsigned long random_draws;
};

/// Starts counting from zero.
void tripwires_arm(void);

/// Stops counting; what was counted.
struct tripwire_counts tripwires_disarm(void);

/// Starts this program again with the same arguments, at addresses and with hash seeds that are the
/// same in every run; its children inherit that. Returns at once where it has happened already.
/// Returns 0 if all is fixed, -1 if the system refuses to fix addresses.
int tripwires_restart_fixed(char **arguments);

/// The process ends with SIGALRM unless this is called again within so many seconds; 0: never.
void tripwires_limit_seconds(unsigned seconds);

#endif
