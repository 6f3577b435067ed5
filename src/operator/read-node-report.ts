import { NODE_AGENT_PORT, parseNodeReport, type NodeReport } from '../contract/node-report.ts';
import { STATUS_PATH } from '../contract/places.ts';
import { textUpTo } from './server-status.ts';

/** What a node agent says, or undefined when it can't be asked. Never throws. */
export type ReadNodeReport = (address: string) => Promise<NodeReport | undefined>;

const ANSWER_TIMEOUT_MS = 2000;
const LONGEST_REPORT = 2 ** 20;

/** Asks the agent's pod. */
export const readNodeReport: ReadNodeReport = async (address) => {
  const host = address.includes(':') ? `[${address}]` : address;
  try {
    const response = await fetch(`http://${host}:${NODE_AGENT_PORT}${STATUS_PATH}`, {
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      redirect: 'error',
    });
    const text = await textUpTo(response, LONGEST_REPORT);
    return response.ok && text !== undefined ? parseNodeReport(text) : undefined;
  } catch {
    // Not there, not reachable, or too slow: all the same to who asks.
    return undefined;
  }
};
