const redirects: ReadonlySet<number> = new Set([303, 307, 308]);
const fallbacks: ReadonlySet<number> = new Set([401, 403, 404]);

/**
 * The answer that Next makes of an error by which a route handler says it: `redirect()`, `notFound()`
 * and the like throw. Undefined: it is an error.
 */
export function nextAnswerOf(error: unknown): Response | undefined {
  if (typeof error !== "object" || error === null || !("digest" in error)) return undefined;
  const { digest } = error;
  if (typeof digest !== "string") return undefined;
  const [kind, ...parts] = digest.split(";");
  switch (kind) {
    case "NEXT_REDIRECT": {
      // How, where (which may hold semicolons), the status, and nothing.
      const location = parts.slice(1, -2).join(";");
      const status = Number(parts.at(-2));
      if (location === "" || !redirects.has(status)) return undefined;
      return new Response(null, { status, headers: { location } });
    }
    case "NEXT_HTTP_ERROR_FALLBACK": {
      const status = Number(parts[0]);
      return fallbacks.has(status) ? new Response(null, { status }) : undefined;
    }
  }
  return undefined;
}
