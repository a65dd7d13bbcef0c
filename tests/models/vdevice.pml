/* SPDX-License-Identifier: MIT */
/*
 * How a device and its vdevice end: src/core/object.c, src/device/device.c and
 * src/viommu/vdevice.c with everything left out but counters, ids and locks.
 *
 *	unbind      driver destroy of the device, pre_destroy, tombstone
 *	destroyer   IOMMU_DESTROY of an id
 *	allocator   IOMMU_VDEVICE_ALLOC, which may fail after its id is reserved
 *	command     holds the device for a while
 *	looker      holds whatever has an id for a while
 *	other       makes an object of another kind, and undoes it
 *
 * What is done under ctx->objects_lock, and each change of a counter, is one step
 * (atomic); everything else interleaves.  The 60 second limit is left out: a wait
 * that never ends is a deadlock here.
 *
 * To be found wrong, one rule can be left out: NO_FLAG (device->destroying),
 * NO_HOLD (the reference that unbinding takes only on a published vdevice),
 * NO_WAIT (waiting for wait_cnt), NO_TOMBSTONE.
 */
#define NV 2      /* vdevices that are ever made */
#define NI 2      /* ids */
#define NONE 255

#define FREE 0
#define RESERVED 1
#define PUBLISHED 2
#define TOMBSTONE 3

/* the device: the table's counts, and the binder's users */
byte d_users = 2, d_wait = 1;
bool d_in_table = true, d_freed = false, d_destroying = false;
byte d_vdev = NONE;
bool group_lock = false;

byte v_users[NV], v_wait[NV], v_id[NV], v_ends[NV];
bool v_freed[NV], v_live[NV];
byte v_next = 0;

byte id_state[NI], id_obj[NI];
bool id_buried[NI]; /* has been a tombstone; only for the check */

inline lock_group()
{
	atomic { !group_lock -> assert(!d_freed); group_lock = true }
}

inline unlock_group()
{
	assert(!d_freed);
	group_lock = false
}

/* object_put() of the device: users first, then wait_cnt, and after that it may be gone */
inline put_device()
{
	atomic { assert(!d_freed && d_users > 0); d_users-- }
	atomic { assert(!d_freed && d_wait > 0); d_wait-- }
}

/* object_get() of the device; @ok: found */
inline get_device(ok)
{
	atomic {
		if
		:: d_in_table && d_users > 0 && d_wait > 0 ->
			assert(!d_freed);
			d_users++;
			d_wait++;
			ok = true
		:: else -> ok = false
		fi
	}
}

/* vdevice_destroy(), and the free() after it; whoever calls has taken it out of the table */
inline end_vdevice(v)
{
	assert(!v_freed[v]);
	lock_group();
	v_ends[v]++;
	assert(v_ends[v] == 1);
	assert(d_vdev == v);
	d_vdev = NONE;
	unlock_group();
	put_device();
	assert(v_users[v] == 0 && v_wait[v] == 0);
	v_live[v] = false;
	v_freed[v] = true
}

/* object_tombstone_user() of the vdevice, whose extra users reference is ours */
inline bury_vdevice(v)
{
	atomic { assert(!v_freed[v]); v_wait[v]-- }
	v_wait[v] == 0;
	atomic {
		v_users[v]--;
		assert(v_users[v] == 1);
		v_users[v] = 0;
		assert(id_state[v_id[v]] == PUBLISHED && id_obj[v_id[v]] == v);
#ifdef NO_TOMBSTONE
		id_state[v_id[v]] = FREE;
#else
		id_state[v_id[v]] = TOMBSTONE;
#endif
		id_buried[v_id[v]] = true
	}
	end_vdevice(v)
}

/* device_pre_destroy() */
inline pre_destroy(v)
{
	lock_group();
	d_destroying = true;
	v = d_vdev;
	if
	:: v != NONE ->
		atomic {
			assert(!v_freed[v]);
#ifndef NO_HOLD
			if
			:: id_state[v_id[v]] == PUBLISHED && id_obj[v_id[v]] == v && v_users[v] > 0 ->
				v_users[v]++
			:: else -> v = NONE /* a destroyer ends it, and needs our lock */
			fi
#else
			v_users[v]++
#endif
		}
	:: else
	fi;
	unlock_group();
	if
	:: v != NONE -> bury_vdevice(v)
	:: else
	fi
}

proctype unbind()
{
	byte v, left;

	atomic { d_wait--; left = d_wait }
	if
	:: left > 0 ->
		pre_destroy(v);
#ifndef NO_WAIT
		d_wait == 0
#endif
	:: else
	fi;
	atomic {
		d_users--;
#ifndef NO_WAIT
		assert(d_users == 1);
#endif
		d_users = 0;
		d_in_table = false
	}
	assert(!group_lock);
	d_freed = true
}

proctype destroyer(byte id)
{
	byte v = NONE, tries = 0;

	do
	:: tries < 2 ->
		tries++;
		atomic {
			if
			:: id_state[id] == PUBLISHED && v_users[id_obj[id]] == 1 ->
				v = id_obj[id];
				v_users[v] = 0;
				id_state[id] = FREE
			:: else -> v = NONE /* ENOENT or EBUSY */
			fi
		}
		if
		:: v != NONE ->
			atomic { assert(!v_freed[v]); v_wait[v]-- }
			v_wait[v] == 0;
			end_vdevice(v)
		:: else
		fi
	:: else -> break
	od
}

/* The lowest free id, as idtable_reserve() gives it. */
inline reserve_id(id)
{
	atomic {
		if
		:: id_state[0] == FREE -> id = 0
		:: id_state[0] != FREE && id_state[1] == FREE -> id = 1
		:: else -> id = NONE
		fi;
		if
		:: id != NONE -> assert(!id_buried[id]); id_state[id] = RESERVED
		:: else
		fi
	}
}

proctype allocator()
{
	byte v, id = NONE;
	bool found, kept = false;

	get_device(found);
	if
	:: !found -> goto done
	:: else
	fi;
	lock_group();
#ifndef NO_FLAG
	if
	:: d_destroying -> goto unlock
	:: else
	fi;
#endif
	if
	:: d_vdev != NONE -> goto unlock /* EEXIST */
	:: else
	fi;
	reserve_id(id);
	if
	:: id == NONE -> goto unlock
	:: else
	fi;
	atomic {
		v = v_next;
		v_next++;
		v_users[v] = 1;
		v_wait[v] = 1;
		v_id[v] = id
	}
	d_vdev = v;
	if
	:: true -> /* published */
		v_live[v] = true;
		atomic { id_obj[id] = v; id_state[id] = PUBLISHED };
		kept = true
	:: true -> /* vdevice_abort(): the driver refused, or the answer could not be written */
		d_vdev = NONE;
		atomic { assert(id_state[id] == RESERVED); id_state[id] = FREE };
		v_freed[v] = true
	fi;
unlock:
	unlock_group();
	if
	:: !kept -> put_device()
	:: else
	fi;
done:
	skip
}

proctype command()
{
	bool found;

	get_device(found);
	if
	:: found ->
		assert(!d_freed);
		put_device()
	:: else
	fi
}

proctype looker(byte id)
{
	byte v = NONE;

	atomic {
		if
		:: id_state[id] == PUBLISHED && v_users[id_obj[id]] > 0 && v_wait[id_obj[id]] > 0 ->
			v = id_obj[id];
			v_users[v]++;
			v_wait[v]++
		:: else
		fi
	}
	if
	:: v != NONE ->
		assert(!v_freed[v]);
		atomic { assert(v_users[v] > 1); v_users[v]-- }
		atomic { assert(!v_freed[v]); v_wait[v]-- }
	:: else
	fi
}

proctype other()
{
	byte id = NONE;

	atomic {
		reserve_id(id);
		if
		:: id != NONE -> id_state[id] = FREE
		:: else
		fi
	}
}

init
{
	atomic {
		run unbind();
		run destroyer(0);
		run destroyer(1);
		run allocator();
		run allocator();
		run command();
		run looker(0);
		run other()
	}
	_nr_pr == 1;
	/* the device is gone, and no vdevice has outlived it */
	assert(d_freed && d_vdev == NONE);
	assert(!v_live[0] && !v_live[1]);
	assert(id_state[0] != PUBLISHED && id_state[1] != PUBLISHED)
}
