import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';

/**
 * Removes the socket that a server left which was killed: nobody could listen there any more. One that somebody listens
 * on stays, and so does what is no socket; listening will fail.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket() || (await isListening(path))) return;
    await unlink(path);
  } catch {
    // Whatever is wrong is told by listening, which meets it as well.
  }
}

async function isListening(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    // One who is too busy to answer listens as well.
    return !(error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED');
  } finally {
    socket.destroy();
  }
}
