import type { CollectionPhase } from '../contract/collection-report.ts';
import { formatDuration } from '../contract/duration.ts';
import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import type { Progress, ProgressReport } from '../registry/collect/progress.ts';
import { isTerminal, showStatus, type StatusLine } from './status-line.ts';

/** How often a log is told; milliseconds. */
const LOG_EVERY = 10_000;

/** Shows how far a run is: a terminal in one line that is written anew, a log in a line now and then. */
export function showProgress(
  progress: Progress,
  deps: { readonly stderr: NodeJS.WritableStream; readonly log: Logger; readonly clock: Clock },
): StatusLine {
  if (isTerminal(deps.stderr)) return showStatus([deps.stderr], () => progressLine(progress.report()));
  const stop = new AbortController();
  const tell = async (): Promise<void> => {
    for (;;) {
      await deps.clock.sleep(LOG_EVERY, stop.signal);
      deps.log.info({ ...progress.report() }, 'the run goes on');
    }
  };
  // Ends when it is stopped, by no other error.
  tell().catch(() => undefined);
  return { clear: () => undefined, [Symbol.dispose]: () => stop.abort(new Error('the run is over')) };
}

const words: Readonly<Record<CollectionPhase, string>> = {
  look: 'looking for what nothing needs',
  verify: 'verifying content',
  drain: 'waiting for uploads in progress',
  mark: 'looking once more, writes are held',
  sweep: 'deleting, writes are held',
  tidy: 'tidying up',
};

function progressLine({ phase, done, total, secondsLeft }: ProgressReport): string {
  const of = total === undefined ? '' : ` of ${total}`;
  const left = secondsLeft === undefined ? '' : `, about ${formatDuration(secondsLeft * 1000)} left`;
  return `${words[phase]}: ${done}${of}${left}`;
}
