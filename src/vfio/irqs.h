/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of one open device, from the model to eventfds of the program.
 *
 * Locks: igate, one SET_IRQS at a time, held over changes of the device's mode;
 * below it lock, a leaf: triggers and INTx's mask.  An interrupt takes lock only,
 * so a model may raise one with locks of its own held.
 */
#ifndef VFIO_IRQS_H
#define VFIO_IRQS_H

#include "base/lock.h"
#include "base/types.h"
#include "pci/pci.h"
#include "vfio/raise.h"
#include "vfio/watch.h"

/**
 * struct vfio_irqs - see the top of this file
 * @mode: PCI_IRQ_INTX, _MSI, _MSIX, or -1; changed under both locks
 * @triggers: eventfds by vector, -1 none; @count of them
 * @allocated: MSI: vectors there were when it was turned on
 * @err, @req: their eventfds, or -1
 * @masked, @level: INTx: no interrupt until it is unmasked; the pin
 * @unmask: its eventfd that unmasks, or NULL
 */
struct vfio_irqs {
	struct pci_dev *pdev;	 /* immutable; NULL: a device without PCI interrupts */
	struct watcher *watcher; /* immutable, as is raiser */
	struct raiser *raiser;
	struct mutex igate;
	struct mutex lock;
	int mode __guarded_by(&lock);
	int *triggers __guarded_by(&lock);
	u32 count __guarded_by(&lock);
	u32 allocated __guarded_by(&igate);
	int err __guarded_by(&lock);
	int req __guarded_by(&lock);
	bool masked __guarded_by(&lock);
	bool level __guarded_by(&lock);
	struct watch *unmask __guarded_by(&igate);
};

void irqs_init(struct vfio_irqs *irqs, struct pci_dev *pdev, struct watcher *watcher,
	       struct raiser *raiser);
void irqs_fini(struct vfio_irqs *irqs);
/** irqs_reset() - nothing is set up any more (the device is being closed) */
void irqs_reset(struct vfio_irqs *irqs);

/** irqs_count() - vectors of @index; irqs_flags() - VFIO_IRQ_INFO_*; index below VFIO_PCI_NUM_IRQS
 */
u32 irqs_count(const struct vfio_irqs *irqs, u32 index);
u32 irqs_flags(u32 index);

/** irqs_set() - VFIO_DEVICE_SET_IRQS; @arg in the current task */
int irqs_set(struct vfio_irqs *irqs, u64 arg);

/* the client's callbacks */
void irqs_raise(struct vfio_irqs *irqs, enum pci_irq kind, u32 vector);
void irqs_intx(struct vfio_irqs *irqs, bool level);

/** eventfd_take() - an eventfd of the current task as one of ours; the descriptor, -EBADF, -EINVAL,
 * -EMFILE */
int eventfd_take(int fd);

#endif
