/* SPDX-License-Identifier: MIT */
/*
 * A machine that runs: what a description says, made.  It belongs to whoever
 * has the system (the command); devices may come and go while programs run.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "base/lock.h"
#include "machine/desc.h"

/**
 * struct machine_slot - a device of a running machine
 * @device: what was said of it; immutable, as @pdev
 * @users: who looks at @pdev; @going: it is being removed: nobody new; both under machine->lock
 */
struct machine_slot {
	struct machine_device device;
	struct pci_dev *pdev;
	u32 users;
	bool going;
};

/**
 * struct machine
 * @system, @topology, @vfio: immutable
 * @changes: one device_add() at a time, so that two do not choose one slot, and no slot is freed
 *	that it looks at; above @lock
 * @lock: innermost; never held while a device is made or ended
 * @desc: its devices are moved to @slots and to nothing else; the rest of it is immutable
 * @unused: users of a slot became 0; with @lock
 */
struct machine {
	struct iommufd_system *system;
	struct pci_topology *topology;
	struct vfio *vfio;
	struct mutex changes;
	struct mutex lock;
	pthread_cond_t unused;
	struct machine_desc desc;
	struct machine_slot *slots[MACHINE_DEVICES_MAX] __guarded_by(&lock);
};

/**
 * machine_start() - make all of @desc in @system, of which nothing is open
 * @desc: finished (machine_desc_finish()); taken over on success
 * Return: 0, or an errno with @error saying why: a disk image that is missing, a bad option ...;
 * then nothing is left but IOMMUs, which end with the system.
 */
int machine_start(struct machine_desc *desc, struct iommufd_system *system,
		  struct machine **ret_machine, struct machine_error *error);
/** machine_stop() - every file of it is closed; NULL is a no-op.  Before the system ends */
void machine_stop(struct machine *machine);

/**
 * machine_device_add() - one more device, given as machine_desc_text() would
 * @item: its words
 * @ret_id: its id, MACHINE_ID_MAX + 1 bytes; may be NULL
 * Return: 0; -EINVAL, -ENOMEM, -ENOSPC no room, else the model's or the bus's; @error says so.
 */
int machine_device_add(struct machine *machine, const struct machine_item *item, char *ret_id,
		       struct machine_error *error);
/**
 * machine_device_remove() - take it away; whoever has it open is asked to let go and waited for
 * @name: its id or address
 * Return: 0, -ENODEV there is none, -EBUSY it is being removed.
 */
int machine_device_remove(struct machine *machine, const char *name);

/** machine_slot_get() - by id or address; kept until machine_slot_put(); NULL: none */
struct machine_slot *machine_slot_get(struct machine *machine, const char *name);
/** machine_slot_next() - the first from *@index on, kept likewise; *@index is then its */
struct machine_slot *machine_slot_next(struct machine *machine, size_t *index);
void machine_slot_put(struct machine *machine, struct machine_slot *slot);

/** struct machine_function - a function of a running machine; @slot: NULL: a VF of a device */
struct machine_function {
	struct pci_dev *pdev;
	struct machine_slot *slot;
};

/** machine_function_get() - a device by id or address, or a VF by address; false: there is none */
bool machine_function_get(struct machine *machine, const char *name,
			  struct machine_function *ret_function);
/** machine_function_put() - it may go now */
void machine_function_put(struct machine *machine, const struct machine_function *function);

#endif
