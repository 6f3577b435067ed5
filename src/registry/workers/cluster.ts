import cluster from 'node:cluster';
import { once } from 'node:events';
import type { Port } from './channel.ts';
import type { WorkerProcess } from './workers.ts';

/** Tells a process which worker it is. */
const NUMBER = 'STEVEDORE_WORKER';

/** Starts this program once more, with the same arguments. The listeners of all workers are one. */
export function forkWorker(number: number): WorkerProcess {
  // Buffers go as they are.
  cluster.setupPrimary({ serialization: 'advanced' });
  const worker = cluster.fork({ [NUMBER]: String(number) });
  // A message to one that has just ended.
  worker.on('error', () => {});
  return {
    port: {
      send: (message) => void (worker.isConnected() && worker.send(message as object)), // calls and answers are objects
      onMessage: (listener) => void worker.on('message', listener),
      onGone: (listener) => void worker.once('exit', listener),
    },
    ended: once(worker, 'exit').then(([code, signal]: (number | string | null)[]) => code ?? signal ?? 0),
    kill: () => void worker.process.kill('SIGKILL'),
  };
}

/** This process, if it is a worker. */
export interface WorkerSelf {
  readonly number: number;
  readonly port: Port;
  /** Lets the process end when nothing else keeps it. Without its primary it ends at once. */
  release(): void;
}

/** @returns undefined in a process that nobody forked. */
export function workerSelf(
  environment: Readonly<Record<string, string | undefined>>,
): WorkerSelf | undefined {
  const number = environment[NUMBER];
  if (!cluster.isWorker || number === undefined) return undefined;
  return {
    number: Number(number),
    port: {
      send: (message) => void (process.connected && process.send?.(message)),
      onMessage: (listener) => void process.on('message', listener),
      onGone: (listener) => void process.once('disconnect', listener),
    },
    release: () => process.channel?.unref(),
  };
}
