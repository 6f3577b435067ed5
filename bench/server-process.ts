import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RegistryClient } from './client.ts';
import { configuration, type Contender } from './contenders.ts';

const READY_WITHIN = 15_000;
const STOPPED_WITHIN = 5_000;

/** With it, the kernel ends the server when this process ends in a way that lets it clean up nothing. */
const SETPRIV = '/usr/bin/setpriv';

/** A running server that we started, on a free port of the loopback, with files of its own in `folder`. */
export class ServerProcess implements AsyncDisposable {
  readonly contender: Contender;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #logFile: string;

  private constructor(contender: Contender, port: number, child: ChildProcess, logFile: string) {
    this.contender = contender;
    this.port = port;
    this.#child = child;
    this.#logFile = logFile;
  }

  /** @throws when the server is not ready in time, with the end of its log. */
  static async start(
    contender: Contender,
    options: {
      readonly folder: string;
      readonly accessLog: boolean;
      readonly remoteUrl?: string;
      readonly storage?: object;
      /** Variables beside our own. */
      readonly environment?: Readonly<Record<string, string>>;
      readonly signal: AbortSignal;
    },
  ): Promise<ServerProcess> {
    const { folder, signal } = options;
    signal.throwIfAborted();
    const root = join(folder, 'data');
    await mkdir(root, { recursive: true });
    const config = join(folder, 'config.yml');
    const port = await freePort();
    await writeFile(config, configuration({ ...options, root, port }));
    const logFile = join(folder, 'log');
    await using log = await open(logFile, 'w');
    const command = [contender.command, 'serve', config];
    if (existsSync(SETPRIV)) command.unshift(SETPRIV, '--pdeathsig', 'KILL', '--');
    const [program = '', ...args] = command;
    const { PATH, HOME } = process.env;
    const environment = { PATH, HOME, ...contender.environment, ...options.environment };
    const child = spawn(program, args, { stdio: ['ignore', log.fd, log.fd], env: environment });
    const server = new ServerProcess(contender, port, child, logFile);
    try {
      await server.#ready(signal);
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw new Error(`${contender.title} did not start: ${String(error)}\n${await server.logTail()}`, {
        cause: error,
      });
    }
    return server;
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.contender.command} could not be started`);
    return this.#child.pid;
  }

  /** The most memory that the process had so far, bytes. */
  async peakMemory(): Promise<number> {
    const kibibytes = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${this.pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes) * 1024;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async logTail(): Promise<string> {
    return (await this.log()).slice(-2000);
  }

  /** All that it has logged. */
  async log(): Promise<string> {
    return readFile(this.#logFile, 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid === undefined || !this.running) return;
    const exited = new Promise<void>((resolve) => {
      this.#child.once('exit', () => resolve());
    });
    this.#child.kill('SIGTERM');
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), STOPPED_WITHIN);
    await exited;
    clearTimeout(impatience);
  }

  async #ready(signal: AbortSignal): Promise<void> {
    let spawnError: Error | undefined;
    this.#child.once('error', (error) => {
      spawnError = error;
    });
    const deadline = performance.now() + READY_WITHIN;
    for (;;) {
      signal.throwIfAborted();
      if (spawnError) throw spawnError;
      if (!this.running) throw new Error(`it ended with ${this.#child.exitCode ?? this.#child.signalCode}`);
      if (performance.now() > deadline) throw new Error(`no answer within ${READY_WITHIN / 1000} s`);
      if (await this.#answers()) return;
      await delay(20);
    }
  }

  async #answers(): Promise<boolean> {
    try {
      const client = await RegistryClient.open(this.port);
      const impatience = setTimeout(() => client.close(), 1000);
      try {
        return await client.isReady();
      } finally {
        clearTimeout(impatience);
        client.close();
      }
    } catch {
      return false;
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
