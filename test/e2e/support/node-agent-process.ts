import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { NODE_PLAN_KEY, parseNodePlan, printNodePlan } from '../../../src/contract/node-plan.ts';
import { parseNodeReport, type NodeReport } from '../../../src/contract/node-report.ts';
import type { LogRecord } from '../../support/log-sink.ts';
import { waitFor } from '../wait.ts';

const root = join(import.meta.dirname, '../../..');

/** `stevedore node-agent` as a process of its own. */
export interface NodeAgentProcess {
  /** Puts a plan where the agent finds it, as the kubelet changes a volume, and waits until it is followed. */
  follow(entries: readonly object[]): Promise<void>;
  report(): Promise<NodeReport>;
  /** Waits until the states of all entries are these. */
  reach(...states: readonly string[]): Promise<NodeReport>;
  stop(): Promise<void>;
}

/** @param args of the folders that it looks after */
export async function startNodeAgent(t: TestContext, args: readonly string[]): Promise<NodeAgentProcess> {
  const volume = mkdtempSync(join(tmpdir(), 'node-plan-'));
  const plan = join(volume, NODE_PLAN_KEY);
  symlinkSync(`..data/${NODE_PLAN_KEY}`, plan);
  const child = spawn(
    process.execPath,
    [join(root, 'src/main.ts'), 'node-agent', `--plan=${plan}`, '--status-address=127.0.0.1:0', ...args],
    { stdio: ['ignore', 'inherit', 'pipe'], env: { PATH: process.env['PATH'], NODE_NAME: 'node-1' } },
  );
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  t.after(async () => {
    await stop();
    rmSync(volume, { recursive: true, force: true });
  });
  const records: LogRecord[] = [];
  const port = await new Promise<unknown>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (!line.startsWith('{')) return reject(new Error(line));
      const record = JSON.parse(line) as LogRecord; // the logger writes objects
      records.push(record);
      if (record.message === 'node agent started') resolve(record['port']);
    });
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${JSON.stringify(records)}`)));
  });
  const report = async (): Promise<NodeReport> => {
    const answer = await fetch(`http://127.0.0.1:${String(port)}/status`);
    const parsed = parseNodeReport(await answer.text());
    if (parsed === undefined) throw new Error('the agent answers with no report');
    return parsed;
  };
  let version = 0;
  return {
    stop,
    report,
    async follow(entries) {
      const before = (await report()).planHash;
      const data = `..${(version += 1)}`;
      mkdirSync(join(volume, data));
      const text = printNodePlan(parseNodePlan(JSON.stringify({ entries })));
      writeFileSync(join(volume, data, NODE_PLAN_KEY), text);
      symlinkSync(data, join(volume, '..data_tmp'));
      renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
      await waitFor('the agent follows the plan', async () => (await report()).planHash !== before);
    },
    reach: (...states) =>
      waitFor(`the states are ${states.join()}`, async () => {
        const now = await report();
        const found = now.entries.map(({ state }) => state).join();
        if (found !== states.join()) throw new Error(JSON.stringify(now));
        return now;
      }),
  };
}
