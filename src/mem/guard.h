/* SPDX-License-Identifier: MIT */
/*
 * The signal side of guarded copies, for a way in that shares its process with
 * the program: when the program installs its own SIGSEGV or SIGBUS handler, the
 * way in keeps the real one and asks here first.
 */
#ifndef MEM_GUARD_H
#define MEM_GUARD_H

#include <signal.h>
#include <stdbool.h>

/**
 * guard_handle_fault() - was this fault met by a guarded copy?
 * @ucontext: as the handler received it; changed so that returning from the handler makes
 *	the copy return -EFAULT
 *
 * Context: async-signal-safe; touches nothing but @ucontext.
 * Return: true if it was ours and the handler may return.
 */
bool guard_handle_fault(int sig, siginfo_t *info, void *ucontext);

#endif
