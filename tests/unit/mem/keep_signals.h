/* SPDX-License-Identifier: MIT */
/*
 * Guarded copies live on SIGSEGV and SIGBUS, for which cmocka installs handlers
 * of its own around each test.  A test whose memory vanishes includes this file
 * once: the program then has its own signal(), which lets cmocka believe it did.
 */
#ifndef TESTS_KEEP_SIGNALS_H
#define TESTS_KEEP_SIGNALS_H

#include <signal.h>

__attribute__((visibility("default"))) __sighandler_t signal(int sig, __sighandler_t handler)
{
	struct sigaction action = { .sa_handler = handler }, previous;

	if (sig == SIGSEGV || sig == SIGBUS)
		return SIG_DFL;
	return sigaction(sig, &action, &previous) ? SIG_ERR : previous.sa_handler;
}

#endif
