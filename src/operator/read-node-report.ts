import { NODE_AGENT_PORT, parseNodeReport, type NodeReport } from '../contract/node-report.ts';
import type { Clock } from '../process/clock.ts';
import { readStatusPage } from './server-status.ts';

/** What a node agent says, or undefined when it can't be asked. Never throws. */
export type ReadNodeReport = (address: string) => Promise<NodeReport | undefined>;

const LONGEST_REPORT = 2 ** 20;
const FRESH_MS = 1000;

/** Asks the agent's pod. */
export const readNodeReport: ReadNodeReport = async (address) => {
  const text = await readStatusPage(address, NODE_AGENT_PORT, LONGEST_REPORT);
  return text === undefined ? undefined : parseNodeReport(text);
};

/** Each resource asks all agents: what one has heard within the last second, the others need not ask again. */
export function rememberReports(read: ReadNodeReport, clock: Pick<Clock, 'monotonic'>): ReadNodeReport {
  // The oldest first.
  const answers = new Map<
    string,
    { readonly askedAt: number; readonly report: ReturnType<ReadNodeReport> }
  >();
  return (address) => {
    const now = clock.monotonic();
    for (const [known, { askedAt }] of answers) {
      if (now - askedAt < FRESH_MS) break;
      answers.delete(known);
    }
    const answer = answers.get(address) ?? { askedAt: now, report: read(address) };
    answers.set(address, answer);
    return answer.report;
  };
}
