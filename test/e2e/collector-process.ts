import { spawn, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import type { CollectionReport } from '../../src/contract/collection-report.ts';

const program = join(import.meta.dirname, '../../src/main.ts');

/** A running `stevedore garbage-collect` that keeps nothing for its youth and nothing in the trash. */
export interface CollectorProcess {
  readonly process: ChildProcess;
  /** Resolves when its log gets a line with this message; called before that. */
  said(message: string): Promise<void>;
  kill(): Promise<void>;
  /** Its report. Rejects when it ended without one. */
  readonly ended: Promise<CollectionReport>;
}

export function startCollector(
  t: TestContext,
  config: string,
  options: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): CollectorProcess {
  const args = [
    program,
    'garbage-collect',
    config,
    '--minimum-age=0s',
    '--trash-grace=0s',
    '--format=json',
    ...options,
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  t.after(() => killProcess(child));
  const lines = new EventEmitter();
  const log: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.push(line);
    lines.emit(messageOf(line));
  });
  const stdout: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  const ended = once(child, 'close').then(() => {
    const text = Buffer.concat(stdout).toString();
    if (text === '') throw new Error(`garbage-collect ended without a report: ${log.join('\n')}`);
    return JSON.parse(text) as CollectionReport; // --format=json
  });
  ended.catch(() => undefined);
  return {
    process: child,
    ended,
    said: async (message) => {
      await once(lines, message);
    },
    kill: () => killProcess(child),
  };
}

/** Ends a process by SIGKILL, if it runs. */
export async function killProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Of a line of the log, which is JSON; what is none is a message of its own. */
function messageOf(line: string): string {
  try {
    return (JSON.parse(line) as { readonly message: string }).message; // the logger writes objects
  } catch {
    return line;
  }
}
