/* SPDX-License-Identifier: MIT */
/*
 * Migration: a device is brought from state to state, and its contents leave
 * and come by a file of their own.
 *
 * A stream is a head, which says whose state it is and is read first (also
 * while the device still runs), and then what the model gave.
 */
#include <string.h>

#include "base/alloc.h"
#include "mem/task.h"
#include "vfio/vfio_priv.h"

#define STREAM_MAX   (256UL << 20)
#define STREAM_MAGIC 0x3167696d6f696675ULL /* "ufiomig1" */
#define NEVER	     VFIO_DEVICE_STATE_NR
#define BOUNCE	     4096U

/** struct mig_head - begins a stream; little endian, as the model's part */
struct mig_head {
	u64 magic;
	u64 length; /* of what follows; 0: not known yet */
	char model[48];
};

/**
 * struct vfio_mig_file - a stream
 * @lock: all below
 * @buf: @len bytes, the next one to be read or written is @pos
 * @saving: it is read, else written; @running: more will come when the device stops
 * @dead: the device has gone on to another state
 */
struct vfio_mig_file {
	struct file file;
	struct mutex lock;
	u8 *buf __guarded_by(&lock);
	size_t len __guarded_by(&lock);
	size_t room __guarded_by(&lock);
	size_t pos __guarded_by(&lock);
	bool saving;
	bool running __guarded_by(&lock);
	bool dead __guarded_by(&lock);
};

/* ---- the file ---- */

/* The next bytes, at most @room, into @buf.  Return: how many; -errno. */
static ssize_t mig_take(struct vfio_mig_file *mf, u8 *buf, size_t room)
{
	ssize_t rc;

	mutex_lock(&mf->lock);
	room = MIN(room, mf->len - mf->pos);
	if (mf->dead)
		rc = -ENODEV;
	else if (!room && mf->running)
		rc = -ENOMSG;
	else
		rc = (ssize_t)room;
	if (rc > 0) {
		memcpy(buf, mf->buf + mf->pos, room);
		mf->pos += room;
	}
	mutex_unlock(&mf->lock);
	return rc;
}

/* Nobody could take them: they are the next ones again, unless more was read meanwhile. */
static void mig_give_back(struct vfio_mig_file *mf, const u8 *buf, size_t count)
{
	mutex_lock(&mf->lock);
	if (mf->pos >= count && !memcmp(mf->buf + mf->pos - count, buf, count))
		mf->pos -= count;
	mutex_unlock(&mf->lock);
}

/* The program's memory may keep us waiting, so it is touched without the lock, here and below. */
static ssize_t mig_read(struct file *file, u64 ubuf, size_t count)
{
	struct vfio_mig_file *mf = container_of(file, struct vfio_mig_file, file);
	u8 buf[BOUNCE];
	size_t done = 0;
	ssize_t rc = 0;

	if (!mf->saving)
		return -EINVAL;
	do {
		rc = mig_take(mf, buf, MIN(count - done, sizeof(buf)));
		if (rc > 0 && copy_to_user(ubuf + done, buf, (size_t)rc)) {
			mig_give_back(mf, buf, (size_t)rc);
			rc = -EFAULT;
		}
		done += rc > 0 ? (size_t)rc : 0;
	} while (rc > 0 && done < count);
	return done ? (ssize_t)done : rc;
}

static int mig_make_room(struct vfio_mig_file *mf, size_t more) __must_hold(&mf->lock)
{
	size_t room = MAX(mf->room * 2, (size_t)4096);
	u8 *buf;

	if (more > STREAM_MAX - mf->len)
		return -ENOMEM;
	if (mf->len + more <= mf->room)
		return 0;
	while (room < mf->len + more)
		room *= 2;
	buf = alloc_uninit(room);
	if (!buf)
		return -ENOMEM;
	if (mf->len)
		memcpy(buf, mf->buf, mf->len);
	free(mf->buf);
	mf->buf = buf;
	mf->room = room;
	return 0;
}

static int mig_append(struct vfio_mig_file *mf, const u8 *buf, size_t count)
{
	int rc;

	mutex_lock(&mf->lock);
	rc = mf->dead ? -ENODEV : mig_make_room(mf, count);
	if (!rc && count) {
		memcpy(mf->buf + mf->len, buf, count);
		mf->len += count;
	}
	mutex_unlock(&mf->lock);
	return rc;
}

static ssize_t mig_write(struct file *file, u64 ubuf, size_t count)
{
	struct vfio_mig_file *mf = container_of(file, struct vfio_mig_file, file);
	u8 buf[BOUNCE];
	size_t done = 0;
	int rc;

	if (mf->saving)
		return -EINVAL;
	do {
		size_t part = MIN(count - done, sizeof(buf));

		rc = copy_from_user(buf, ubuf + done, part) ?: mig_append(mf, buf, part);
		done += rc ? 0 : part;
	} while (!rc && done < count);
	return done ? (ssize_t)done : rc;
}

static long mig_ioctl(struct file *file, unsigned int cmd, u64 arg)
{
	struct vfio_mig_file *mf = container_of(file, struct vfio_mig_file, file);
	struct vfio_precopy_info info = {0};
	int rc;

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	rc = copy_from_user(&info, arg, offsetof(struct vfio_precopy_info, initial_bytes));
	if (rc)
		return rc;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	info.flags = 0;
	mutex_lock(&mf->lock);
	if (mf->dead || !mf->running)
		rc = -EINVAL;
	info.initial_bytes = mf->len - mf->pos;
	mutex_unlock(&mf->lock);
	return rc ? rc : copy_to_user(arg, &info, sizeof(info));
}

static void mig_release(struct file *file)
{
	struct vfio_mig_file *mf = container_of(file, struct vfio_mig_file, file);

	mutex_destroy(&mf->lock);
	free(mf->buf);
	free(mf);
}

static const struct file_ops mig_file_ops = {
	.name = "[vfio-migration]",
	.ioctl = mig_ioctl,
	.read = mig_read,
	.write = mig_write,
	.release = mig_release,
};

static int mig_file_create(struct vfio_device *vdev, bool saving, bool running)
{
	struct vfio_mig_file *mf = zalloc(sizeof(*mf));
	struct mig_head head = {.magic = STREAM_MAGIC};
	int rc = 0;

	if (!mf)
		return -ENOMEM;
	file_init(&mf->file, &mig_file_ops, vdev->vfio->system,
		  (saving ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
	mutex_init(&mf->lock);
	mf->saving = saving;
	mf->running = running;
	strncpy(head.model, vdev->pdev->desc->model, sizeof(head.model) - 1);
	mutex_lock(&mf->lock);
	if (saving)
		rc = mig_make_room(mf, sizeof(head));
	if (saving && !rc) {
		memcpy(mf->buf, &head, sizeof(head));
		mf->len = sizeof(head);
	}
	mutex_unlock(&mf->lock);
	if (rc)
		file_put(&mf->file);
	else
		vdev->mig.file = mf;
	return rc;
}

/* The state that was left kept it. */
static void mig_file_end(struct vfio_device *vdev)
{
	struct vfio_mig_file *mf = vdev->mig.file;

	if (!mf)
		return;
	mutex_lock(&mf->lock);
	mf->dead = true;
	mutex_unlock(&mf->lock);
	vdev->mig.file = NULL;
	file_put(&mf->file);
}

/* ---- arcs ---- */

/* The device is stopped: its state, behind the head. */
static int mig_save(struct vfio_device *vdev)
{
	struct vfio_mig_file *mf = vdev->mig.file;
	void *data = NULL;
	size_t len = 0;
	int rc = pci_dev_save(vdev->pdev, &data, &len);

	if (rc)
		return rc;
	mutex_lock(&mf->lock);
	rc = mig_make_room(mf, len);
	if (!rc) {
		memcpy(mf->buf + mf->len, data, len);
		mf->len += len;
		mf->running = false;
	}
	mutex_unlock(&mf->lock);
	free(data);
	return rc;
}

static int mig_load(struct vfio_device *vdev)
{
	struct vfio_mig_file *mf = vdev->mig.file;
	const struct mig_head *head;
	int rc = -EINVAL;

	mutex_lock(&mf->lock);
	/* From here on nobody writes to it: the model needs no lock of ours. */
	mf->dead = true;
	mutex_unlock(&mf->lock);
	head = (const struct mig_head *)mf->buf;
	/* Nothing written: nothing changes. */
	if (!mf->len)
		return 0;
	if (mf->len >= sizeof(*head) && head->magic == STREAM_MAGIC &&
	    !strncmp(head->model, vdev->pdev->desc->model, sizeof(head->model) - 1))
		rc = pci_dev_load(vdev->pdev, mf->buf + sizeof(*head), mf->len - sizeof(*head));
	return rc;
}

/* One arc of the graph; 0, or the device stays where it is (or, having half a state, is in ERROR).
 */
static int mig_step(struct vfio_device *vdev, u32 to)
{
	u32 from = vdev->mig.state;
	int rc = 0;

	if (to == VFIO_DEVICE_STATE_RUNNING_P2P && from == VFIO_DEVICE_STATE_RUNNING)
		pci_dev_stop(vdev->pdev);
	if (to == VFIO_DEVICE_STATE_PRE_COPY_P2P && from == VFIO_DEVICE_STATE_PRE_COPY)
		pci_dev_stop(vdev->pdev);
	if (to == VFIO_DEVICE_STATE_RUNNING && from == VFIO_DEVICE_STATE_RUNNING_P2P)
		pci_dev_start(vdev->pdev);
	if (to == VFIO_DEVICE_STATE_PRE_COPY && from == VFIO_DEVICE_STATE_PRE_COPY_P2P)
		pci_dev_start(vdev->pdev);
	if (to == VFIO_DEVICE_STATE_PRE_COPY && from == VFIO_DEVICE_STATE_RUNNING)
		rc = mig_file_create(vdev, true, true);
	if (to == VFIO_DEVICE_STATE_RESUMING)
		rc = mig_file_create(vdev, false, false);
	if (to == VFIO_DEVICE_STATE_STOP_COPY) {
		bool fresh = from == VFIO_DEVICE_STATE_STOP;

		rc = fresh ? mig_file_create(vdev, true, false) : 0;
		rc = rc ?: mig_save(vdev);
		if (rc && fresh)
			mig_file_end(vdev);
	}
	if (from == VFIO_DEVICE_STATE_RESUMING) {
		rc = mig_load(vdev);
		if (rc) {
			mig_file_end(vdev);
			vdev->mig.state = VFIO_DEVICE_STATE_ERROR;
			return rc;
		}
	}
	if (rc)
		return rc;
	if (to == VFIO_DEVICE_STATE_STOP || to == VFIO_DEVICE_STATE_RUNNING ||
	    to == VFIO_DEVICE_STATE_RUNNING_P2P)
		mig_file_end(vdev);
	vdev->mig.state = to;
	return 0;
}

/* From each state (row) towards each (column): the next one; NEVER: there is no way. */
#define S  VFIO_DEVICE_STATE_STOP
#define R  VFIO_DEVICE_STATE_RUNNING
#define SC VFIO_DEVICE_STATE_STOP_COPY
#define RE VFIO_DEVICE_STATE_RESUMING
#define RP VFIO_DEVICE_STATE_RUNNING_P2P
#define PC VFIO_DEVICE_STATE_PRE_COPY
#define PP VFIO_DEVICE_STATE_PRE_COPY_P2P
#define N  NEVER
static const u8 mig_next[VFIO_DEVICE_STATE_NR][VFIO_DEVICE_STATE_NR] = {
	/*      error STOP RUN SCOPY RESUM RUNP PRE PREP */
	[VFIO_DEVICE_STATE_ERROR] = {N, N, N, N, N, N, N, N},
	[S] = {N, S, RP, SC, RE, RP, RP, RP},
	[R] = {N, RP, R, RP, RP, RP, PC, PC},
	[SC] = {N, S, S, SC, S, S, N, N},
	[RE] = {N, S, S, S, RE, S, S, S},
	[RP] = {N, S, R, S, S, RP, R, R},
	[PC] = {N, R, R, PP, R, R, PC, PP},
	[PP] = {N, RP, RP, SC, RP, RP, PC, PP},
};
#undef S
#undef R
#undef SC
#undef RE
#undef RP
#undef PC
#undef PP
#undef N

/* *ret_file: the file the new state has and the old one had not, counted; else NULL. */
static int mig_set_state(struct vfio_device *vdev, u32 to, struct file **ret_file)
{
	struct vfio_mig_file *before;
	int rc = 0;

	*ret_file = NULL;
	if (to >= VFIO_DEVICE_STATE_NR)
		return -EINVAL;
	mutex_lock(&vdev->set->lock);
	before = vdev->mig.file;
	if (mig_next[vdev->mig.state][to] == NEVER)
		rc = -EINVAL;
	while (!rc && vdev->mig.state != to)
		rc = mig_step(vdev, mig_next[vdev->mig.state][to]);
	if (!rc && vdev->mig.file && vdev->mig.file != before)
		*ret_file = file_get(&vdev->mig.file->file);
	mutex_unlock(&vdev->set->lock);
	return rc;
}

void vfio_mig_reset(struct vfio_device *vdev)
{
	mig_file_end(vdev);
	if (vdev->mig.state != VFIO_DEVICE_STATE_RUNNING)
		pci_dev_start(vdev->pdev);
	vdev->mig.state = VFIO_DEVICE_STATE_RUNNING;
}

/* ---- features ---- */

static bool can_migrate(const struct vfio_device *vdev)
{
	return vdev->pdev->ops->migrate_save && vdev->pdev->ops->migrate_load;
}

int vfio_mig_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	const struct vfio_device_feature_migration mig = {
		.flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY,
	};
	int rc;

	if (!can_migrate(vdev))
		return -ENOTTY;
	rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_GET, sizeof(mig));
	return rc == 1 ? copy_to_user(arg, &mig, sizeof(mig)) : rc;
}

static int mig_get_state(struct vfio_device *vdev, u64 arg)
{
	struct vfio_device_feature_mig_state state = {.data_fd = -1};

	mutex_lock(&vdev->set->lock);
	state.device_state = vdev->mig.state;
	mutex_unlock(&vdev->set->lock);
	return copy_to_user(arg, &state, sizeof(state));
}

/* The state has changed by now; a file that cannot be handed out is gone. */
static int mig_hand_out(struct vfio_device_feature_mig_state *state, struct file *file, u64 arg)
{
	int rc = 0;

	state->data_fd = -1;
	if (file)
		rc = task_current->ops->fd_reserve(task_current, O_CLOEXEC, &state->data_fd);
	if (rc) {
		file_put(file);
		return rc;
	}
	rc = copy_to_user(arg, state, sizeof(*state));
	if (!file)
		return rc;
	if (rc) {
		task_current->ops->fd_unreserve(task_current, state->data_fd);
		file_put(file);
	} else {
		task_current->ops->fd_install(task_current, state->data_fd, file);
	}
	return rc;
}

int vfio_mig_state_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	struct vfio_device_feature_mig_state state;
	struct file *file;
	int rc;

	if (!can_migrate(vdev))
		return -ENOTTY;
	rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
				sizeof(state));
	if (rc != 1)
		return rc;
	if (flags & VFIO_DEVICE_FEATURE_GET)
		return mig_get_state(vdev, arg);
	rc = copy_from_user(&state, arg, sizeof(state));
	if (rc)
		return rc;
	rc = mig_set_state(vdev, state.device_state, &file);
	if (!rc)
		return mig_hand_out(&state, file, arg);
	state.data_fd = -1;
	return copy_to_user(arg, &state, sizeof(state)) ?: rc;
}

/* As much as is now: what the model would give must be asked of it while it stands still. */
int vfio_mig_size_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	struct vfio_device_feature_mig_data_size size = {.stop_copy_length = 0};
	void *data = NULL;
	size_t bytes = 0;
	bool running;
	int rc;

	if (!can_migrate(vdev))
		return -ENOTTY;
	rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_GET, sizeof(size));
	if (rc != 1)
		return rc;
	mutex_lock(&vdev->set->lock);
	running = vdev->mig.state == VFIO_DEVICE_STATE_RUNNING ||
		  vdev->mig.state == VFIO_DEVICE_STATE_PRE_COPY;
	if (running)
		pci_dev_stop(vdev->pdev);
	rc = pci_dev_save(vdev->pdev, &data, &bytes);
	if (running)
		pci_dev_start(vdev->pdev);
	mutex_unlock(&vdev->set->lock);
	if (rc)
		return rc;
	free(data);
	size.stop_copy_length = sizeof(struct mig_head) + bytes;
	return copy_to_user(arg, &size, sizeof(size));
}

/* The initial part never starts over, so who may be told of it needs no note. */
int vfio_mig_precopy_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len)
{
	int rc;

	if (!can_migrate(vdev))
		return -ENOTTY;
	rc = vfio_feature_check(flags, len, VFIO_DEVICE_FEATURE_SET, 0);
	return rc == 1 ? 0 : rc;
}
