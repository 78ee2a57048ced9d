/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/human.h"
#include "cli/terminal.h"

#define SECONDS_BETWEEN 0.1
#define BAR_WIDTH       24

static bool shows_bar(const struct cvq_progress *progress)
{
	return progress->on_terminal && !progress->quiet;
}

static double seconds_passed(const struct cvq_progress *progress)
{
	return cvq_clock_seconds() - progress->began;
}

void cvq_progress_begin(struct cvq_progress *progress, uint64_t total, bool quiet)
{
	*progress = (struct cvq_progress){
		.quiet = quiet,
		.on_terminal = isatty(STDERR_FILENO),
		.total = total,
		.began = cvq_clock_seconds(),
	};
}

void cvq_progress_file(struct cvq_progress *progress, const char *path)
{
	progress->path = path;
	cvq_progress_step(progress, 0);
}

/* "[=====>    ]  42 %  1.3 GiB/s  0:01 left  llm.pt", cut to the terminal. */
static void draw(const struct cvq_progress *progress, uint64_t bytes)
{
	double seconds = seconds_passed(progress);
	double share = progress->total ? (double)bytes / (double)progress->total : 1;
	double rate = seconds > 0 ? (double)bytes / seconds : 0;
	double left = rate > 0 ? (double)(progress->total - bytes) / rate : 0;
	unsigned filled = (unsigned)(share * BAR_WIDTH);
	char bar[BAR_WIDTH + 1], size[CVQ_HUMAN_SIZE], time[CVQ_HUMAN_SIZE], line[160];

	memset(bar, '=', filled);
	memset(bar + filled, ' ', BAR_WIDTH - filled);
	bar[BAR_WIDTH] = '\0';
	int length = snprintf(line, sizeof(line), "[%s] %3.0f %%  %s/s  %s left  ", bar,
			      share * 100, cvq_human_size((uint64_t)rate, size),
			      cvq_human_time(left, time));
	/* What does not fit would wrap the line, which cannot be taken back then. */
	unsigned width = cvq_terminal_width(STDERR_FILENO);
	fprintf(stderr, "\r\033[K%.*s", (int)width - 1, line);
	/* Of a name, better none than half. */
	if ((unsigned)length + strlen(progress->path) < width)
		cvq_put_readable(stderr, progress->path);
	fflush(stderr);
}

void cvq_progress_step(struct cvq_progress *progress, uint64_t bytes)
{
	double time = cvq_clock_seconds();
	if (!shows_bar(progress) || time - progress->last_drawn < SECONDS_BETWEEN)
		return;
	progress->last_drawn = time;
	uint64_t done = progress->done + bytes;
	draw(progress, done < progress->total ? done : progress->total);
}

void cvq_progress_file_done(struct cvq_progress *progress, uint64_t bytes, const char *what)
{
	progress->done += bytes;
	if (!progress->quiet && !progress->on_terminal) {
		cvq_put_readable(stdout, progress->path);
		printf(": %s\n", what);
	}
	cvq_progress_step(progress, 0);
}

void cvq_progress_clear(struct cvq_progress *progress)
{
	if (shows_bar(progress))
		fputs("\r\033[K", stderr);
}
