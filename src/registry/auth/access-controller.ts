import { everythingForUsers, type AccessAction, type AccessRules } from '../../contract/access-rules.ts';
import { RegistryError } from '../errors.ts';
import type { FollowedFile } from './followed-file.ts';
import { accessRecord, type Need } from './need.ts';
import type { AuthProvider, Caller, Identity, TokenFailure } from './provider.ts';

/** What a request that was let through may do. */
export interface Grant {
  /** Undefined when nobody in particular asks. */
  readonly user: string | undefined;
  permits(repository: string, action: AccessAction): boolean;
}

/** Whoever it is may do everything: no users are configured, and no rules. */
const everything = { permits: () => true };

/** Turns what a request brings into what it may do. One for each server. */
export interface AccessController {
  /**
   * Lets a request through that may do all it needs. Names alone decide, not what there is: so nobody can tell a repository
   * that is denied from one that does not exist.
   * @param needs empty for `/v2/`, which only asks who somebody is.
   * @param wanted what a challenge asks for: more than `needs` where the rest may be refused without harm.
   * @throws RegistryError UNAUTHORIZED with a challenge for somebody without the right credentials, DENIED for a known user
   */
  authorize(caller: Caller, needs: readonly Need[], wanted?: readonly Need[]): Promise<Grant>;
}

/**
 * @param options.provider absent: nobody has to say who they are, as far as the rules allow what they do.
 * @param options.certificates a verified client certificate takes the place of other credentials.
 */
export function createAccessController(options: {
  readonly provider: AuthProvider | undefined;
  readonly rules: Pick<FollowedFile<AccessRules>, 'current'> | undefined;
  readonly certificates: boolean;
}): AccessController {
  const { provider, rules, certificates } = options;

  async function identify(caller: Caller, wanted: readonly Need[]): Promise<Identity | undefined> {
    const { certificateUser } = caller;
    if (certificateUser !== undefined && (certificates || provider === undefined))
      return { user: certificateUser };
    const identity = await provider?.identify(caller);
    if (identity === 'wrong') throw unauthorized(caller, wanted, 'invalid_token');
    return identity === 'none' ? undefined : identity;
  }

  function unauthorized(caller: Caller, needs: readonly Need[], failure?: TokenFailure): RegistryError {
    const challenge = provider?.challenge(caller, needs, failure);
    // Without a provider there is nothing that a client could answer: it needs another certificate.
    if (challenge === undefined) return denied(needs);
    return new RegistryError(
      { code: 'UNAUTHORIZED', ...detail(needs) },
      { headers: { 'www-authenticate': challenge } },
    );
  }

  return {
    async authorize(caller, needs, wanted = needs) {
      const identity = await identify(caller, wanted);
      const user = identity?.user;
      if (identity?.allows !== undefined) {
        if (!needs.every(identity.allows)) throw unauthorized(caller, wanted, 'insufficient_scope');
        return grantOfToken(user, identity.allows);
      }
      if (provider === undefined && rules === undefined) return { user, ...everything };
      const current = rules?.current() ?? everythingForUsers;
      const permits = (repository: string, action: AccessAction): boolean =>
        current.permits(user, repository, action);
      const allowed = needs.every((need) =>
        need.kind === 'catalog'
          ? user !== undefined || current.anonymousMayPull
          : permits(need.name, need.action),
      );
      // A client that says nothing is asked at `/v2/` who it is: docker's send their password only where they were asked.
      const isKnown = user !== undefined || (identity !== undefined && current.anonymousMayPull);
      if (allowed && (needs.length > 0 || isKnown || provider === undefined)) return { user, permits };
      throw user === undefined ? unauthorized(caller, wanted) : denied(needs);
    },
  };
}

/** A token that may see the catalog may see all of it. */
function grantOfToken(user: string | undefined, allows: (need: Need) => boolean): Grant {
  return {
    user,
    permits: (name, action) =>
      allows({ kind: 'repository', name, action }) || (action === 'list' && allows({ kind: 'catalog' })),
  };
}

function denied(needs: readonly Need[]): RegistryError {
  return new RegistryError({ code: 'DENIED', ...detail(needs) });
}

function detail(needs: readonly Need[]): { readonly detail?: unknown } {
  return needs.length === 0 ? {} : { detail: needs.map(accessRecord) };
}
