import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { pathToFileURL } from 'node:url';
import type { Clock } from '../../process/clock.ts';
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

/** One run of a container as a process of this machine, which ends with the node at the latest. */
export class ContainerProcess {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  /** Resolves when it has ended. */
  readonly exited: Promise<ProcessExit>;

  constructor(options: {
    readonly program: Program;
    readonly place: PodPlace;
    readonly folder: string;
    readonly args: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
    /** Where its output goes; emptied first. */
    readonly log: string;
    readonly clock: Clock;
  }) {
    const { program, place, folder, args, environment, log, clock } = options;
    const preload = pathToFileURL(program.preload);
    preload.searchParams.set('place', JSON.stringify(place));
    this.#clock = clock;
    const output = openSync(log, 'w', 0o600);
    // The last descriptor is a pipe that nobody writes to: it closes when this process ends, even by SIGKILL.
    this.#child = spawn(program.node, ['--import', preload.href, program.main, ...args], {
      cwd: folder,
      env: environment,
      stdio: ['ignore', output, output, 'pipe'],
      // In a group of its own, so that Ctrl-C in a terminal ends the node alone, which then ends it in order.
      detached: true,
    });
    closeSync(output);
    this.exited = this.#exit();
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

  async #exit(): Promise<ProcessExit> {
    // 'error' in place of 'exit' when it cannot be started, as on a machine without a free process.
    const [code, name] = await once(this.#child, 'exit').catch((): [number, null] => [128, null]);
    // A name of a signal, which Node knows.
    const signal = name === null ? undefined : constants.signals[name as NodeJS.Signals];
    return signal === undefined ? { exitCode: Number(code) } : { exitCode: 128 + signal, signal };
  }
}
