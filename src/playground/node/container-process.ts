import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import type { Clock } from '../../process/clock.ts';
import type { ContainerLog } from './container-log.ts';
import type { PodPlace } from './path-map.ts';

/** What runs in place of the operator's image. */
export interface Program {
  /** The Node to run it with. */
  readonly node: string;
  /** The program's main module, and the folder that it and its packages lie in. */
  readonly main: string;
  readonly folder: string;
  /** What is loaded before it: inside-pod.ts. */
  readonly preload: string;
}

export interface ProcessExit {
  /** 128 and the number of the signal, where one ended it. */
  readonly exitCode: number;
  readonly signal?: number;
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** One run of a container as a process of this machine, which ends with the node at the latest. */
export class ContainerProcess {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  /** Resolves when it has ended and its log is whole. */
  readonly exited: Promise<ProcessExit>;

  constructor(options: {
    readonly program: Program;
    readonly place: PodPlace;
    readonly folder: string;
    readonly args: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
    readonly log: ContainerLog;
    readonly clock: Clock;
  }) {
    const { program, place, folder, args, environment, log, clock } = options;
    const preload = pathToFileURL(program.preload);
    preload.searchParams.set('place', JSON.stringify(place));
    this.#clock = clock;
    // The last descriptor is a pipe that nobody writes to: it closes when this process ends, even by SIGKILL.
    this.#child = spawn(program.node, ['--import', preload.href, program.main, ...args], {
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      // In a group of its own, so that Ctrl-C in a terminal ends the node alone, which then ends it in order.
      detached: true,
    });
    this.exited = this.#follow(log);
  }

  get id(): number | undefined {
    return this.#child.pid;
  }

  /** SIGTERM, and SIGKILL after `graceMs` or when `now` is aborted. Resolves when it has ended. */
  async stop(graceMs: number, now?: AbortSignal): Promise<void> {
    this.#child.kill('SIGTERM');
    const ended = new AbortController();
    void this.exited.then(() => ended.abort());
    const hurry = now === undefined ? ended.signal : AbortSignal.any([now, ended.signal]);
    await this.#clock.sleep(graceMs, hurry).catch(() => undefined);
    if (!ended.signal.aborted) this.#child.kill('SIGKILL');
    await this.exited;
  }

  async #follow(log: ContainerLog): Promise<ProcessExit> {
    const outputs = Promise.all([this.#take(log, 'stdout'), this.#take(log, 'stderr')]);
    // 'error' in place of 'exit' when it cannot be started, as on a machine without a free process.
    const [code, signal] = await once(this.#child, 'exit').catch((): [number, null] => [128, null]);
    await outputs;
    await log.end();
    const number = typeof signal === 'string' ? (SIGNAL_NUMBERS[signal] ?? 0) : undefined;
    return number === undefined ? { exitCode: Number(code) } : { exitCode: 128 + number, signal: number };
  }

  async #take(log: ContainerLog, stream: 'stdout' | 'stderr'): Promise<void> {
    const output: Readable | null = this.#child[stream];
    if (output !== null) await log.take(stream, output).catch(() => undefined);
  }
}
