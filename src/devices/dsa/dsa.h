/* SPDX-License-Identifier: MIT */
/*
 * Inside the model of Intel's DSA.
 *
 *   model.c    options, life, what the machine asks of it; migrate.c
 *   regs.c     BAR0
 *   command.c  the command register: what it starts, and when that is over
 *   queue.c    portals, work queues, work(): which queue gets the next slice
 *   fault.c    page requests, one thread per queue that ever blocked
 *   engine.c   a descriptor's life, batches, completion records
 *   check.c    what makes a descriptor invalid
 *   ops.c      operations on memory; delta.c: delta records; crc.c
 *
 * dsa->lock guards all of struct dsa and its queues, except a queue's task and batch while
 * queue->running: they are the worker's then, which runs without the lock.  Who wants them gone
 * sets queue->discard, and the worker drops them when it next looks.
 * No lock is held over DMA, an interrupt or a page request.
 */
#ifndef DEVICES_DSA_H
#define DEVICES_DSA_H

#include <stdatomic.h>

#include "base/lock.h"
#include "devices/devices.h"
#include "devices/dsa/dsa_regs.h"

#define DSA_CHUNK	    (256U << 10) /* bytes between two looks at queue->discard */
#define DSA_SLICE	    (1U << 20)	 /* bytes of a queue's turn */
#define DSA_PAGE_REQUEST_MS 10000

/** struct dsa_options - what may be chosen; see model.c */
struct dsa_options {
	u32 wqs, engines, groups, wq_size;
	u32 max_transfer, max_batch; /* log2 */
	u32 version;
	bool shared, block_on_fault;
};

/**
 * struct dsa_fault - why memory could not be reached
 * @status: DSA_PAGE_FAULT, DSA_NO_TRANSLATION or DSA_HW_ERROR
 */
struct dsa_fault {
	u64 addr;
	u8 status;
	bool write;
};

enum dsa_phase {
	DSA_TASK_NEW, /* not looked at yet */
	DSA_TASK_RUN,
	DSA_TASK_RECORD, /* over; the record is to be written */
};

/**
 * struct dsa_task - a descriptor being worked on
 * @done: bytes (from the end if @backward)
 * @crc, @delta_size, @last_offset, @result: the operation's
 * @overlap: source and destination of a move do
 * @record: once @phase is DSA_TASK_RECORD
 */
struct dsa_task {
	struct dsa_desc desc;
	enum dsa_phase phase;
	bool member; /* of a batch */
	bool overlap, backward;
	u8 result;
	u64 done;
	u32 crc;
	u32 delta_size;
	s64 last_offset;
	struct dsa_record record;
};

/**
 * struct dsa_batch - the batch the queue's task is, if it is one
 * @index: of the next descriptor
 * @failed: one ended with another status than success
 * @in_member: queue->member is under way
 */
struct dsa_batch {
	u32 index;
	bool failed;
	bool in_member;
};

enum dsa_queue_state {
	DSA_WQ_DISABLED,
	DSA_WQ_ENABLED,
	DSA_WQ_BUSY, /* being disabled */
};

/** struct dsa_queue_config - of an enabled queue; immutable while it is enabled */
struct dsa_queue_config {
	u32 size, threshold;
	bool dedicated, block, pasid_en, priv;
	u32 pasid, priority;
	u64 max_xfer;
	u32 max_batch;
	u64 ops;
};

/**
 * struct dsa_queue - a work queue
 * @ring: of dsa->opt.wq_size; @head, @count
 * @submitted, @completed: descriptors ever; they are equal when it is idle
 * @has_task: @task is one (a batch's members are in @member)
 * @discard: drop the task; the worker may look without the lock
 * @asking: a page request is under way and the task waits for it
 * @ask, @epoch: what is asked; an answer to another epoch is ignored
 * @answer: 1 none, else what the request gave
 * @ask, @answer are, like the task, the worker's while @running
 */
struct dsa_queue {
	struct dsa *dsa;
	u32 index;
	enum dsa_queue_state state;
	struct dsa_queue_config cfg;
	struct dsa_desc *ring;
	u32 head, count;
	u64 submitted, completed;
	bool has_task, running;
	_Atomic bool discard;
	struct dsa_task task, member;
	struct dsa_batch batch;

	bool asking;
	u64 epoch;
	struct {
		ioasid_t pasid;
		u64 addr;
		unsigned int access;
	} ask;
	int answer;
	bool thread_runs;
	pthread_t thread;
	pthread_cond_t asked; /* asking, or dsa->ending; with the lock */
};

/** struct dsa_command - the one under way */
struct dsa_command {
	bool active;
	u8 code;
	bool irq;
	u32 operand;
	u64 queues;		 /* which */
	u64 target[DSA_MAX_WQS]; /* of queue->completed; drains only */
};

/** struct dsa - the device */
struct dsa {
	struct pci_dev pdev;
	struct pci_desc desc;
	struct dsa_options opt;

	struct mutex lock;
	pthread_cond_t idle;   /* a queue stopped running, or a command is over */
	bool raise;	       /* vector 0, when the lock is let go of */
	bool ending;	       /* threads are to end */
	u32 threads_ended;     /* since then */
	_Atomic bool hw_error; /* injected: the next descriptor fails */

	enum dsa_state state;
	u32 gencfg, genctrl, intcause, cmdsts;
	u64 swerr[4];
	u32 wqcfg[DSA_MAX_WQS][DSA_WQCFG_SIZE / 4];
	u64 grpcfg[DSA_MAX_GROUPS][DSA_GRPCFG_SIZE / 8];
	u32 msixperm[DSA_MAX_VECTORS];
	struct dsa_command command;
	u32 next_queue; /* whose turn it is */
	struct dsa_queue queues[DSA_MAX_WQS];
};

static inline struct dsa *to_dsa(struct pci_dev *pdev)
{
	return container_of(pdev, struct dsa, pdev);
}

static inline void dsa_lock(struct dsa *dsa) __acquires(&dsa->lock)
{
	mutex_lock(&dsa->lock);
}

/** dsa_unlock() - and raise vector 0, if there is cause */
void dsa_unlock(struct dsa *dsa) __releases(&dsa->lock);

/** dsa_set_defaults() - configuration as after a reset; no queue runs */
void dsa_set_defaults(struct dsa *dsa) __must_hold(&dsa->lock);
/** dsa_cause() - bits of INTCAUSE, with the interrupt */
void dsa_cause(struct dsa *dsa, u32 bits) __must_hold(&dsa->lock);

/**
 * dsa_swerr() - record a software error
 * @queue: NULL: of none; @task: NULL: of no descriptor
 * @status: as in a completion record
 */
void dsa_swerr(struct dsa *dsa, const struct dsa_queue *queue, const struct dsa_task *task,
	       u8 status, u64 addr) __must_hold(&dsa->lock);
/** dsa_halt() - the device stops; only a reset helps */
void dsa_halt(struct dsa *dsa) __must_hold(&dsa->lock);

/* migrate.c: as struct pci_ops; save is -EBUSY while there are descriptors */
int dsa_migrate_save(struct pci_dev *pdev, void **ret_data, size_t *ret_len);
int dsa_migrate_load(struct pci_dev *pdev, const void *data, size_t len);

/* regs.c */
u64 dsa_regs_read(struct dsa *dsa, u64 offset, unsigned int size);
void dsa_regs_write(struct dsa *dsa, u64 offset, const void *data, unsigned int size);

/* command.c */
/** dsa_command_write() - the register is written; waits a moment for what ends soon */
void dsa_command_write(struct dsa *dsa, u32 value) __must_hold(&dsa->lock);
/** dsa_command_progress() - something it may wait for has happened */
void dsa_command_progress(struct dsa *dsa) __must_hold(&dsa->lock);
/** dsa_queue_check() - the configuration of a queue: DSA_CMD_OK or what Enable WQ answers */
u8 dsa_queue_check(const struct dsa *dsa, u32 index, struct dsa_queue_config *ret_cfg);

/* queue.c */
void dsa_portal_write(struct dsa *dsa, u64 offset, const void *data, unsigned int size);
bool dsa_work(struct pci_dev *pdev);
/* Context of these, and of fault.c's: dsa->lock is held. */
/** dsa_queue_abort() - forget what it has; what runs is dropped soon */
void dsa_queue_abort(struct dsa_queue *queue);
/** dsa_queue_abort_pasid() - of a shared queue, the descriptors of one PASID */
void dsa_queue_abort_pasid(struct dsa_queue *queue, u32 pasid);
/** dsa_queue_occupancy() - descriptors in it */
u32 dsa_queue_occupancy(const struct dsa_queue *queue);

/* fault.c */
/** dsa_fault_ask() - the task waits for the page in queue->ask; 0, -ENOMEM, -EAGAIN no thread */
int dsa_fault_ask(struct dsa_queue *queue);
/** dsa_fault_forget() - the answer is not wanted any more */
void dsa_fault_forget(struct dsa_queue *queue);
/** dsa_fault_begin(), dsa_fault_end() - a driver has come, has gone: threads end; the lock is not
 * held */
void dsa_fault_begin(struct dsa *dsa);
void dsa_fault_end(struct dsa *dsa);

/* engine.c */
enum dsa_step {
	DSA_STEP_MORE, /* the slice is used up */
	DSA_STEP_DONE,
	DSA_STEP_BLOCKED, /* queue->ask says on what */
};
/** dsa_engine_run() - work on queue->task; without the lock, queue->running is set; takes from
 * *@slice */
enum dsa_step dsa_engine_run(struct dsa_queue *queue, u64 *slice);
/** dsa_task_pasid() - the PASID of a queue's task, or IOMMU_NO_PASID */
ioasid_t dsa_task_pasid(const struct dsa_queue *queue, const struct dsa_desc *desc);

/* check.c */
/** dsa_check() - is it valid?  DSA_OK or why not; @ret_flags: of DSA_BAD_FLAGS, which */
u8 dsa_check(const struct dsa_queue *queue, const struct dsa_task *task, u32 *ret_flags);
/** dsa_check_handle() - may this descriptor raise its interrupt? */
bool dsa_check_handle(struct dsa_queue *queue, const struct dsa_desc *desc);

/* ops.c */
/**
 * dsa_op_step() - the next bytes, at most @len and DSA_CHUNK
 * Return: 0 there is more; 1 it is over: *@ret_status says how; -1 @fault.
 */
int dsa_op_step(struct device *dev, ioasid_t pasid, struct dsa_task *task, u64 len, u8 *ret_status,
		struct dsa_fault *fault);
/** dsa_fault_set() - @fault out of what DMA said.  Return: -1 */
int dsa_fault_set(struct dsa_fault *fault, int rc, const struct iommufd_dma_fault *dma);

/* Operands, as dsa_walk() gives them to a kernel. */
#define DSA_OPERANDS 3
struct dsa_operand {
	u64 iova;
	unsigned int access;
};
/** typedef dsa_kernel_fn - @len bytes of each operand: 0, 1 enough (task->done is right), -EFAULT
 * memory is gone */
typedef int (*dsa_kernel_fn)(struct dsa_task *task, u8 *const ptr[], size_t len);
/** dsa_walk() - run @kernel over the operands from task->done on; as dsa_op_step(), 1 the kernel
 * had enough */
int dsa_walk(struct device *dev, ioasid_t pasid, struct dsa_task *task,
	     const struct dsa_operand *operands, unsigned int n, u64 len, dsa_kernel_fn kernel,
	     struct dsa_fault *fault);

/* delta.c: as dsa_op_step() */
int dsa_delta_create(struct device *dev, ioasid_t pasid, struct dsa_task *task, u64 len,
		     u8 *ret_status, struct dsa_fault *fault);
int dsa_delta_apply(struct device *dev, ioasid_t pasid, struct dsa_task *task, u64 len,
		    u8 *ret_status, struct dsa_fault *fault);

/* crc.c */
/** dsa_crc32c() - of the reflected algorithm, with no inversions; @raw: bits of each byte the other
 * way round */
u32 dsa_crc32c(u32 crc, const u8 *data, size_t len, bool raw);
u32 dsa_reverse32(u32 value);

#endif
