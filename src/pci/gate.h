/* SPDX-License-Identifier: MIT */
/*
 * A gate: any number of threads may be inside; who closes it waits until they are out, and
 * from then on nobody gets in (they are turned away, and do not wait).
 */
#ifndef PCI_GATE_H
#define PCI_GATE_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/types.h"

#define GATE_CLOSED (1U << 31)

/** struct pci_gate - @state: how many are inside, or on their way out, and GATE_CLOSED */
struct pci_gate {
	_Atomic u32 state;
};

static inline void gate_init(struct pci_gate *gate)
{
	atomic_init(&gate->state, GATE_CLOSED);
}

static inline void gate_leave(struct pci_gate *gate)
{
	if (atomic_fetch_sub_explicit(&gate->state, 1, memory_order_release) == (GATE_CLOSED | 1))
		syscall(SYS_futex, &gate->state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/** gate_enter() - true: inside, gate_leave() it */
static inline bool gate_enter(struct pci_gate *gate)
{
	if (!(atomic_fetch_add_explicit(&gate->state, 1, memory_order_acquire) & GATE_CLOSED))
		return true;
	gate_leave(gate);
	return false;
}

static inline void gate_open(struct pci_gate *gate)
{
	atomic_fetch_and_explicit(&gate->state, ~GATE_CLOSED, memory_order_release);
}

/** gate_close() - nobody is inside when it returns; not from inside */
static inline void gate_close(struct pci_gate *gate)
{
	u32 state = atomic_fetch_or_explicit(&gate->state, GATE_CLOSED, memory_order_acq_rel);

	for (state |= GATE_CLOSED; state != GATE_CLOSED;
	     state = atomic_load_explicit(&gate->state, memory_order_acquire))
		syscall(SYS_futex, &gate->state, FUTEX_WAIT_PRIVATE, state, NULL, NULL, 0);
}

#endif
