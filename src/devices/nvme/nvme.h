/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller with one namespace: base specification 1.4, NVM command set.
 *
 * Who does what.  work() is the controller: it alone touches queues, features,
 * logs and requests, so none of these has a lock; reset(), opened(), closed() and the two migration
 * ops run when it does not.  Register accesses are words of memory in every mode (regs.c), which
 * work() compares with what it knows.  What may wait (a disk, a flush) is done by a few threads
 * (pool.c) that see nothing but the request they were given and the namespace.
 *
 *   regs.c      registers, enable, disable, shutdown
 *   queue.c     submission and completion queues, arbitration, interrupts
 *   admin.c     admin commands; identify.c, features.c, logs.c
 *   event.c     asynchronous events, error log
 *   io.c        the NVM command set
 *   xfer.c      PRPs and SGLs; copies between the host's memory and ours
 *   data.c      reads and writes of the namespace, and what else is done to it
 *   ns.c        the namespace: a file
 *   pool.c      threads
 *   migrate.c, inject.c
 */
#ifndef NVME_NVME_H
#define NVME_NVME_H

#include <stdatomic.h>
#include <urcu/list.h>

#include "base/lock.h"
#include "devices/devices.h"
#include "devices/nvme/spec.h"

#define NVME_QUEUES	    256	 /* pairs, with the admin one: one page of MSI-X table */
#define NVME_QUEUES_USUAL   64	 /* pairs of I/O queues unless the option says else */
#define NVME_ENTRIES	    4096 /* of a queue, at most */
#define NVME_PAGE_SHIFT	    12	 /* MPSMIN */
#define NVME_MPS_MAX	    4	 /* 64 KiB */
#define NVME_MDTS	    7	 /* in pages of MPSMIN */
#define NVME_TRANSFER_MAX   ((u32)1 << (NVME_PAGE_SHIFT + NVME_MDTS))
#define NVME_EXTENTS	    256 /* pieces of memory of one command: DSM ranges, SGL descriptors */
#define NVME_REQUESTS	    64
#define NVME_ADMIN_REQUESTS 8  /* of these, that I/O cannot have */
#define NVME_EVENT_SLOTS    4  /* AERL + 1 */
#define NVME_ERRORS	    16 /* ELPE + 1 */
#define NVME_BUFFER	    ((size_t)64 << 10)
#define NVME_BAD_LBAS	    16
#define NVME_THREADS	    4
#define NVME_BATCH	    16 /* commands fetched at once */
#define NVME_FEATURES	    16

#define NVME_BAR_SIZE	0x4000U
#define NVME_MSIX_TABLE 0x2000U
#define NVME_MSIX_PBA	0x3000U
#define NVME_FILE_SIZE	0x1800U /* registers and doorbells */

#define NVME_NSID   1U
#define NVME_KELVIN 300 /* of an idle disk */
#define NVME_SERIAL 20	/* characters of a serial number, at most */

struct nvme;

/* ---- the namespace (ns.c) ---- */

/**
 * struct nvme_ns - blocks in a file; one for a PF and its VFs
 * @lock: a leaf
 * @refs: controllers
 * @fd: the image, or memory
 * @memory: no file behind it: nothing to wait for
 * @first_shift: of LBA format 0
 * @nowait: reads can ask for what is in memory only
 * @users: requests inside; @formatting: nobody may enter
 * @bytes, @shift: size and block size; change under @lock, @shift without users only
 * @bad: blocks that cannot be read, until written (inject)
 * @changes: how often its size or format has changed, @resets: NVM subsystem resets: each
 * controller compares
 */
struct nvme_ns {
	struct mutex lock;
	_Atomic u32 refs;
	int fd;
	bool memory, readonly, nowait;
	u32 first_shift;
	u32 users __guarded_by(&lock);
	bool formatting __guarded_by(&lock);
	u64 bytes __guarded_by(&lock);
	u32 shift __guarded_by(&lock);
	u64 bad[NVME_BAD_LBAS] __guarded_by(&lock);
	_Atomic u32 nbad;
	_Atomic u32 changes;
	_Atomic u32 resets;
};

/** struct nvme_ns_options - as given; @image NULL: memory of @size bytes */
struct nvme_ns_options {
	const char *image;
	u64 size;
	u32 shift;
	bool readonly;
};

/**
 * nvme_ns_open() - open the image, or make memory
 * Return: 0; -errno with a line in @error: no such image, a directory, not writable, in use,
 * not a multiple of the block, no memory.
 */
int nvme_ns_open(const struct nvme_ns_options *options, struct nvme_ns **ret_ns, char *error,
		 size_t error_size);
struct nvme_ns *nvme_ns_get(struct nvme_ns *ns);
/** nvme_ns_put() - NULL is a no-op */
void nvme_ns_put(struct nvme_ns *ns);

/** nvme_ns_enter() - its format stays until nvme_ns_leave().  false: it is being formatted */
bool nvme_ns_enter(struct nvme_ns *ns, u32 *ret_shift, u64 *ret_blocks);
void nvme_ns_leave(struct nvme_ns *ns);
/** nvme_ns_shift() - block size of LBA format @format, 0 or 1 */
static inline u32 nvme_ns_shift(const struct nvme_ns *ns, u32 format)
{
	return format ? 9 + 12 - ns->first_shift : ns->first_shift;
}

/** nvme_ns_size() - as it is now */
void nvme_ns_size(struct nvme_ns *ns, u32 *ret_shift, u64 *ret_blocks);

/** nvme_ns_claim() - begin to format; false: somebody does.  nvme_ns_quiet(): is nobody inside? */
bool nvme_ns_claim(struct nvme_ns *ns);
bool nvme_ns_quiet(struct nvme_ns *ns);
/** nvme_ns_formatted() - the end of it; @shift 0: as before */
void nvme_ns_formatted(struct nvme_ns *ns, u32 shift);
/** nvme_ns_resize() - the file has been resized (memory: make it @bytes).  0, -EINVAL, -EBUSY,
 * -errno */
int nvme_ns_resize(struct nvme_ns *ns, u64 bytes);

/** nvme_ns_spoil() - block @lba can no longer be read; 0, -ERANGE, -ENOSPC */
int nvme_ns_spoil(struct nvme_ns *ns, u64 lba);
/** nvme_ns_spoilt() - is one of these bad?  (@heal: they are good again) */
bool nvme_ns_spoilt(struct nvme_ns *ns, u64 lba, u64 count, bool heal);

/* ---- requests ---- */

/** enum - what a step may answer besides a status, which is not negative */
enum {
	NVME_PENDING = -1, /* somebody else completes it */
	NVME_BLOCKED = -2, /* bus master is off: later, from the beginning */
	NVME_DEFER = -3,   /* would have to wait: the pool */
};

/** struct nvme_extent - @bucket: bytes that go nowhere.  Of DSM: bytes of the namespace */
struct nvme_extent {
	u64 addr;
	u64 len;
	bool bucket;
};

/**
 * struct nvme_req - a command between its fetch and its completion
 * @node: free, in the pool, stalled, to be redone
 * @inside: it has entered the namespace
 * @claimed: it is a format that keeps the others out
 * @shift, @lba, @count: blocks of it
 * @not_before: when the pool may begin, ns of CLOCK_MONOTONIC
 * @sync: FUA, or the write cache is off
 * @status: of the pool, or to be posted
 */
struct nvme_req {
	struct cds_list_head node;
	struct nvme *nvme;
	struct nvme_cmd cmd;
	u16 sq_id;
	bool inside, claimed, sync, internal;
	u32 shift;
	u64 lba, count;
	u64 not_before;
	int status;
	u32 result;
	u32 num_extents;
	struct nvme_extent extents[NVME_EXTENTS];
};

/* ---- threads (pool.c) ---- */

/**
 * struct nvme_pool - see the top of this file
 * @lock: over the lists and @running; not while a request is worked on
 * @work: there is something to do, or to stop for; @idle: @running became 0
 */
struct nvme_pool {
	struct mutex lock;
	pthread_cond_t work, idle;
	struct cds_list_head queue __guarded_by(&lock);
	struct cds_list_head done __guarded_by(&lock);
	_Atomic u32 num_done;
	u32 queued __guarded_by(&lock);
	u32 running __guarded_by(&lock);
	bool stop __guarded_by(&lock);
	u32 num_threads;
	pthread_t threads[NVME_THREADS];
};

void nvme_pool_init(struct nvme_pool *pool);
/** nvme_pool_fini() - nothing is queued */
void nvme_pool_fini(struct nvme_pool *pool);
/** nvme_pool_submit() - false: no thread could be made */
bool nvme_pool_submit(struct nvme_pool *pool, struct nvme_req *req);
/** nvme_pool_take() - one that is done, or NULL */
struct nvme_req *nvme_pool_take(struct nvme_pool *pool);
/** nvme_pool_cancel() - one nobody has begun with, that @match wants, is done with @status; was
 * there one? */
bool nvme_pool_cancel(struct nvme_pool *pool,
		      bool (*match)(const struct nvme_req *req, const void *data), const void *data,
		      int status);
/** nvme_pool_empty() - nobody works on any, and none is here any more: all of them are the caller's
 */
void nvme_pool_empty(struct nvme_pool *pool);
/** nvme_pool_wait() - until nobody works on one */
void nvme_pool_wait(struct nvme_pool *pool);
/** nvme_pool_each() - nobody works on one: @fn for all that wait to be begun (@begun false), or to
 * be taken */
void nvme_pool_each(struct nvme_pool *pool,
		    void (*fn)(const struct nvme_req *req, bool begun, void *data), void *data);

/* ---- the controller ---- */

/** struct nvme_sq - @deleter: the command that waits for @inflight to be 0 */
struct nvme_sq {
	bool live;
	u16 cq_id;
	u32 size, head, tail;
	u64 base;
	u32 inflight;
	struct nvme_req *deleter;
};

/**
 * struct nvme_cq - @reserved: entries that commands under way will take; @sqs: that complete here
 * @unsignaled: completions without an interrupt yet, the first at @since
 */
struct nvme_cq {
	bool live, irq, phase;
	u16 vector;
	u32 size, head, tail;
	u64 base;
	u32 reserved, sqs;
	u32 unsignaled;
	u64 since;
};

/**
 * struct nvme_features - what Set Features changes
 * @value: command dword 11, by feature; those that are one number
 * @over, @under: temperature thresholds, kelvin
 * @uncoalesced: vectors that interrupt at once
 * @timestamp: ms, set at @timestamp_at, ns of CLOCK_MONOTONIC
 */
struct nvme_features {
	u32 value[NVME_FEATURES];
	u32 over, under;
	u64 timestamp, timestamp_at;
	bool timestamp_set;
	bool uncoalesced[NVME_QUEUES];
};

/** struct nvme_counters - of the SMART log; writes and reads in blocks of 512 bytes */
struct nvme_counters {
	u64 read_blocks, written_blocks, reads, writes;
	u64 power_cycles, unsafe_shutdowns, media_errors, errors;
};

enum nvme_state {
	NVME_OFF,
	NVME_ON,
	NVME_STOPPING, /* until nothing is under way */
};

/**
 * struct nvme - a controller
 *
 * Constant: @desc to @serial, which is empty if the address is to be it.
 * Atomic: @file (registers and doorbells in the modes that call), @mask (INTMS), @csts,
 * @resets_seen (ns->resets),
 * @scan, @irq_stale, and what inject sets (@critical to @slow_ms).
 * All else: who runs work().
 */
struct nvme {
	struct pci_dev pdev;
	struct pci_desc desc;
	struct pci_desc vf_desc;
	struct nvme_ns *ns;
	bool is_vf;
	u16 cntlid;
	u32 num_queues; /* pairs, with the admin one */
	u8 *buffer;	/* NVME_BUFFER bytes, of work() */
	char serial[NVME_SERIAL + 1];

	_Atomic u32 file[NVME_FILE_SIZE / 4];
	_Atomic u32 mask, mask_shown;
	_Atomic u32 csts;
	_Atomic u32 resets_seen;
	_Atomic bool scan;
	_Atomic bool irq_stale;

	_Atomic u32 injected; /* BIT(enum nvme_event) */
	_Atomic u32 critical; /* warnings, as in the SMART log */
	_Atomic u32 kelvin;
	_Atomic bool fatal;
	_Atomic u32 slow_ms;

	enum nvme_state state;
	bool shutting, shut, clean, bad_start;
	u32 cc;
	u32 page_shift;
	u32 idle;
	u32 top; /* highest queue that lives */
	u32 turn;
	u32 moved; /* bytes, in this call of work() */
	u32 inflight;
	u32 ns_changes;
	bool changed_ns;
	bool pin, coalescing;
	u64 doorbells[NVME_QUEUES];
	struct nvme_sq sq[NVME_QUEUES];
	struct nvme_cq cq[NVME_QUEUES];
	struct nvme_features features;
	struct nvme_counters counters;
	u16 events[NVME_EVENT_SLOTS]; /* commands that wait for an event */
	u32 num_events;
	u32 pending_events; /* BIT(enum nvme_event) */
	u32 masked_types;   /* BIT(event type): until its log is read */
	struct nvme_error_entry errors[NVME_ERRORS];
	u64 error_count;

	struct nvme_pool pool;
	struct cds_list_head free;    /* requests */
	struct cds_list_head stalled; /* to be posted */
	struct cds_list_head redo;    /* to be begun again */
	struct nvme_req *requests;
};

static inline struct nvme *to_nvme(struct pci_dev *pdev)
{
	return container_of(pdev, struct nvme, pdev);
}

/** nvme_now() - ns of CLOCK_MONOTONIC */
u64 nvme_now(void);

/** nvme_serial() - of the disk, the same for a PF and its VFs; not before it is at an address */
void nvme_serial(const struct nvme *nvme, char ret[NVME_SERIAL + 1]);

/* ---- registers (regs.c) ---- */

u64 nvme_bar_read(struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size);
void nvme_bar_write(struct pci_dev *pdev, unsigned int bar, u64 offset, const void *data,
		    unsigned int size);
u32 nvme_reg(const struct nvme *nvme, u32 offset);
void nvme_reg_set(struct nvme *nvme, u32 offset, u32 value);
/** nvme_regs_reset() - power-on values; nvme_regs_show(): let a program see those that are ours */
void nvme_regs_reset(struct nvme *nvme);
void nvme_regs_show(struct nvme *nvme);
void nvme_csts_change(struct nvme *nvme, u32 clear, u32 set);
void nvme_mask_change(struct nvme *nvme, u32 set, u32 clear);
/** nvme_regs_poll() - has the program written any?  Act on it */
bool nvme_regs_poll(struct nvme *nvme);
/** nvme_fatal() - CSTS.CFS: nothing is done any more until it is disabled */
void nvme_fatal(struct nvme *nvme);
/** nvme_forget() - all queues, requests, events: nothing is under way in the pool */
void nvme_forget(struct nvme *nvme);

/* ---- queues (queue.c) ---- */

void nvme_sq_open(struct nvme *nvme, u16 id, u16 cq_id, u64 base, u32 size);
void nvme_cq_open(struct nvme *nvme, u16 id, u64 base, u32 size, bool irq, u16 vector);
void nvme_sq_close(struct nvme *nvme, u16 id);
void nvme_cq_close(struct nvme *nvme, u16 id);
/** nvme_doorbells() - look at them; nvme_doorbells_clear() all of them are 0 */
bool nvme_doorbells(struct nvme *nvme);
void nvme_doorbells_clear(struct nvme *nvme);
/** nvme_queues_run() - fetch and begin commands, round robin, a bounded number */
bool nvme_queues_run(struct nvme *nvme);
/** nvme_req_get() - for @sq_id, with an entry reserved in its CQ; NULL: none free, or no room */
struct nvme_req *nvme_req_get(struct nvme *nvme, u16 sq_id);
/** nvme_req_restore() - the same without a look at the CQ: of a controller that is being loaded */
struct nvme_req *nvme_req_restore(struct nvme *nvme, u16 sq_id);
/** nvme_req_drop() - without a completion */
void nvme_req_drop(struct nvme *nvme, struct nvme_req *req);
/** nvme_req_leave() - it needs the namespace no more; any thread that works on it */
void nvme_req_leave(struct nvme_req *req);
/** nvme_req_begin() - do it, from the beginning */
void nvme_req_begin(struct nvme *nvme, struct nvme_req *req);
/** nvme_complete() - it has ended with @status; its completion is posted, now or when it can be */
void nvme_complete(struct nvme *nvme, struct nvme_req *req, int status);
/** nvme_reap() - post what the pool has done and what could not be posted; begin anew what has to
 * be */
bool nvme_reap(struct nvme *nvme);
/** nvme_interrupts() - raise those that are due */
void nvme_interrupts(struct nvme *nvme);

/* ---- commands ---- */

/** nvme_admin(), nvme_io() - begin @req.  Return: a status, NVME_PENDING or NVME_BLOCKED */
int nvme_admin(struct nvme *nvme, struct nvme_req *req);
int nvme_io(struct nvme *nvme, struct nvme_req *req);
int nvme_identify(struct nvme *nvme, struct nvme_req *req);
int nvme_get_features(struct nvme *nvme, struct nvme_req *req);
int nvme_set_features(struct nvme *nvme, struct nvme_req *req);
void nvme_features_reset(struct nvme *nvme);
int nvme_get_log(struct nvme *nvme, struct nvme_req *req);
int nvme_async_event(struct nvme *nvme, struct nvme_req *req);
int nvme_abort(struct nvme *nvme, struct nvme_req *req);
/** nvme_work_on() - what the pool does.  @buffer: NVME_BUFFER bytes.  A status, NVME_BLOCKED, or
 * NVME_DEFER: later */
int nvme_work_on(struct nvme_req *req, u8 *buffer);
/** nvme_defer() - give it to the pool: NVME_PENDING, or a status */
int nvme_defer(struct nvme *nvme, struct nvme_req *req);
/** nvme_transfer() - a read or write in the thread of work(); NVME_DEFER if it would have to wait
 */
int nvme_transfer(struct nvme_req *req, u8 *buffer);

/* ---- events (event.c) ---- */

/** enum nvme_event - the kinds there are; no kind is pending twice */
enum nvme_event {
	NVME_EV_BAD_DOORBELL,
	NVME_EV_BAD_VALUE,
	NVME_EV_INTERNAL,
	NVME_EV_RELIABILITY,
	NVME_EV_TEMPERATURE,
	NVME_EV_SPARE,
	NVME_EV_NS_CHANGED,
	NVME_EVENTS,
};

void nvme_event_raise(struct nvme *nvme, enum nvme_event event);
/** nvme_events_run() - report what can be reported */
bool nvme_events_run(struct nvme *nvme);
/** nvme_event_read() - log page @page has been read */
void nvme_event_read(struct nvme *nvme, u32 page);
/** nvme_error_log() - an entry; @req NULL: of no command */
void nvme_error_log(struct nvme *nvme, const struct nvme_req *req, int status);
/** nvme_too_hot() - is the temperature beyond a threshold? */
bool nvme_too_hot(const struct nvme *nvme);

/* ---- memory of the host (xfer.c) ---- */

/** nvme_dma() - @len bytes at @iova; a status, or NVME_BLOCKED */
int nvme_dma_read(struct nvme *nvme, u64 iova, void *buf, size_t len);
int nvme_dma_write(struct nvme *nvme, u64 iova, const void *buf, size_t len);
/** nvme_dma_status() - of a DMA function's @rc and @fault */
int nvme_dma_status(const struct nvme *nvme, int rc, const struct iommufd_dma_fault *fault);
/** nvme_dma_again() - was it refused because bus master was off, which is on by now? */
bool nvme_dma_again(const struct nvme *nvme, int status, const struct iommufd_dma_fault *fault,
		    u32 tries);

/** nvme_xfer_map() - extents of @len bytes, at most NVME_TRANSFER_MAX, where the command's data
 * pointer says */
int nvme_xfer_map(struct nvme *nvme, struct nvme_req *req, u32 len);

/** struct nvme_cursor - a place in the extents of a request; begins zeroed */
struct nvme_cursor {
	u32 extent;
	u64 offset;
};
/** nvme_xfer_in(), nvme_xfer_out() - copy the next @len bytes from, and to, the host */
int nvme_xfer_in(struct nvme_req *req, struct nvme_cursor *at, void *buf, size_t len);
int nvme_xfer_out(struct nvme_req *req, struct nvme_cursor *at, const void *buf, size_t len);
/** nvme_reply() - map @len bytes and fill them from @buf */
int nvme_reply(struct nvme *nvme, struct nvme_req *req, const void *buf, u32 len);

/* ---- the rest ---- */

int nvme_migrate_save(struct pci_dev *pdev, void **ret_data, size_t *ret_len);
int nvme_migrate_load(struct pci_dev *pdev, const void *data, size_t len);
int nvme_inject(struct pci_dev *pdev, const char *what, const char *argument);

#endif
