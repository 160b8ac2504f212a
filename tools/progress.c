// SPDX-License-Identifier: GPL-2.0
/*
 * A sign of life on the terminal while the kernel works for us. The kernel does
 * it inside our send(), so it takes a thread to say so.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

#define QUIET_SECONDS 2

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static bool stop;		/* protected by lock */
static bool running;
static pthread_t thread;

static void *show(void *what)
{
	unsigned int seconds = 0;
	struct timespec until;
	bool shown = false;

	clock_gettime(CLOCK_REALTIME, &until);
	pthread_mutex_lock(&lock);
	while (!stop) {
		until.tv_sec++;
		while (!stop && !pthread_cond_timedwait(&ended, &lock, &until))
			;
		if (stop || ++seconds < QUIET_SECONDS)
			continue;
		fprintf(stderr, "\r%s: %u s ", (const char *)what, seconds);
		fflush(stderr);
		shown = true;
	}
	pthread_mutex_unlock(&lock);
	if (shown)
		fputs("\r\033[K", stderr);
	return NULL;
}

/**
 * progress_start() - show what takes long, when stderr is a terminal
 * @what: what is going on
 */
void progress_start(const char *what)
{
	stop = false;
	running = isatty(STDERR_FILENO) &&
		  !pthread_create(&thread, NULL, show, (void *)what);
}

/**
 * progress_stop() - it is over
 */
void progress_stop(void)
{
	if (!running)
		return;
	pthread_mutex_lock(&lock);
	stop = true;
	pthread_cond_signal(&ended);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	running = false;
}
