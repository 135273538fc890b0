"""States of older programs: their state managers' calls and names, on a log, and the migration of what they stored."""

from gateways.legacy.config import APIConfig, CacheConfig, DatabaseConfig, StateManagementConfig, load_config
from gateways.legacy.enhanced import EnhancedTradingStateManager, create_enhanced_trading_state_manager
from gateways.legacy.history import StateOperationType, StateType
from gateways.legacy.manager import ACCOUNT, StateManager
from gateways.legacy.migrators import (
    BatchMigrator,
    StateMigrator,
    migrate_existing_state,
    validate_migration,
)
from gateways.legacy.notices import StateNotice
from gateways.legacy.reports import ItemStatus, MigratedItem, MigrationReport
from gateways.legacy.state_files import UnreadableState
from gateways.legacy.state_migration import NewerState
from gateways.legacy.unified import (
    StateManagerAdapter,
    TradingStateManager,
    UnifiedStateManager,
    create_backward_compatible_manager,
    get_state_manager,
    migrate_legacy_system,
    state_manager_context,
)

__all__ = [
    "ACCOUNT",
    "APIConfig",
    "BatchMigrator",
    "CacheConfig",
    "DatabaseConfig",
    "EnhancedTradingStateManager",
    "ItemStatus",
    "MigratedItem",
    "MigrationReport",
    "NewerState",
    "StateManagementConfig",
    "StateManager",
    "StateManagerAdapter",
    "StateMigrator",
    "StateNotice",
    "StateOperationType",
    "StateType",
    "TradingStateManager",
    "UnifiedStateManager",
    "UnreadableState",
    "create_backward_compatible_manager",
    "create_enhanced_trading_state_manager",
    "get_state_manager",
    "load_config",
    "migrate_existing_state",
    "migrate_legacy_system",
    "state_manager_context",
    "validate_migration",
]
